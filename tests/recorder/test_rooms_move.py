"""A recording whose room moves between nodes: the later placement takes it over, and only one node records."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec

from recorder import manifest
from recorder.capture import Capture
from recorder.config import RecorderConfig
from recorder.durability import Durability
from recorder.recordings import SEALING, WAITING, Recordings
from sfu.api.sink_records import RecordingEnded, RecordingStarted
from tests.recorder.conftest import running
from tests.recorder.sink_server import SinkServer

BEGUN = RecordingStarted(recording="r-1", room="m-1", started_unix_ms=1, opened_at=0, opened_unix_ms=0, placement=1)
ENDED = RecordingEnded(recording="r-1", room="m-1")


def at(placement: int) -> RecordingStarted:
    return msgspec.structs.replace(BEGUN, placement=placement)


def ended(placement: int, *, moved: bool = False) -> RecordingEnded:
    return msgspec.structs.replace(ENDED, placement=placement, moved=moved)


def captures(config: RecorderConfig) -> tuple[Recordings, Capture, Capture]:
    recordings = Recordings(config.recordings_dir, config.instance)
    return recordings, Capture(config, recordings, Durability()), Capture(config, recordings, Durability())


def test_the_later_placement_takes_a_recording_over(config: RecorderConfig) -> None:
    recordings, old, new = captures(config)
    old.take(at(1), 0)
    new.take(at(2), 0)
    recording = recordings.known("r-1")
    assert recording is not None and recording.holders == {new}
    old.take(ENDED, 0)
    assert recording.state != SEALING
    old.take(at(1), 0)
    assert recording.holders == {new}
    old.close()
    assert recording.holders == {new}
    new.take(ENDED, 0)
    assert recording.state == SEALING


def test_a_room_that_moves_leaves_its_recording_waiting(config: RecorderConfig) -> None:
    recordings, old, new = captures(config)
    old.take(at(1), 0)
    old.take(msgspec.structs.replace(ENDED, moved=True), 0)
    recording = recordings.known("r-1")
    assert recording is not None and recording.state == WAITING
    new.take(at(2), 0)
    assert recording.holders == {new}
    assert recording.epoch == 2


def test_a_recording_between_two_nodes_is_ended_by_neither(config: RecorderConfig) -> None:
    recordings, old, new = captures(config)
    old.take(at(1), 0)
    new.take(at(2), 0)
    new.take(ended(2, moved=True), 0)
    recording = recordings.known("r-1")
    assert recording is not None
    for end in (ENDED, ended(1), ended(2)):
        old.take(end, 0)
        assert recording.state == WAITING
    old.take(at(3), 0)
    old.take(ended(3), 0)
    assert recording.state == SEALING


def test_a_restarted_recorder_lets_no_earlier_node_end_a_recording(config: RecorderConfig) -> None:
    _, _, before = captures(config)
    before.take(at(3), 0)
    before.close()
    recordings, old, new = captures(config)
    recordings.load()
    recording = recordings.known("r-1")
    assert recording is not None
    old.take(ended(2), 0)
    assert recording.state == WAITING
    new.take(ended(3), 0)
    assert recording.state == SEALING


def test_a_room_that_learns_of_its_placement_late_is_recorded_under_it(config: RecorderConfig) -> None:
    recordings, capture, other = captures(config)
    capture.take(at(0), 0)
    capture.take(at(4), 0)
    recording = recordings.known("r-1")
    assert recording is not None and recording.info.placement == 4 and recording.holders == {capture}
    other.take(at(3), 0)
    assert recording.holders == {capture}


def test_a_room_that_has_spilled_over_is_recorded_from_each_of_its_nodes(config: RecorderConfig) -> None:
    recordings, home, further = captures(config)
    home.take(at(1), 0)
    further.take(at(1), 0)
    home.tick(0)
    recording = recordings.known("r-1")
    assert recording is not None and recording.holders == {home, further}
    further.take(ended(1), 0)
    assert recording.state != SEALING and recording.holders == {home}
    home.take(ended(1), 0)
    assert recording.state == SEALING


def test_another_recorder_on_the_same_directory_is_not_finished_under_its_hands(config: RecorderConfig) -> None:
    recordings, old, _ = captures(config)
    old.take(at(1), 0)
    old.take(msgspec.structs.replace(ENDED, moved=True), 0)
    _, elsewhere, _ = captures(replace(config, instance="recorder-2"))
    elsewhere.take(at(2), 0)
    old.end("r-1", abandoned=True)
    assert recordings.known("r-1") is None
    info = manifest.read_info(config.recordings_dir / "r-1")
    assert info is not None and info.state == "recording" and info.placement == 2


async def test_one_recorder_attaches_to_every_node_of_the_machine(config: RecorderConfig, tmp_path: Path) -> None:
    second = tmp_path / "sinks-2"
    both = replace(config, other_sink_sockets=(second,))
    async with SinkServer(config.sink_socket) as one, SinkServer(second) as two, running(both):
        async with asyncio.timeout(30):
            await one.attached()
            await two.attached()
