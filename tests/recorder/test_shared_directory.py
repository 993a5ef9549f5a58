"""Several recorders on one directory, like pods of a cluster: each touches only its own files."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recorder import layout, leases, manifest
from recorder.capture import Capture
from recorder.config import RecorderConfig
from recorder.durability import Durability
from recorder.recordings import Recordings
from sfu.api.sink_records import PacketRecord, RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.conftest import running, wait_for_manifest
from tests.recorder.media import SECOND, Stream, opus
from tests.recorder.sink_server import SinkServer, begun
from tests.support.waiting import until

OPENED_AT = 90 * SECOND
ENDED = RecordingEnded(recording="rec1", room="room1")


def microphone() -> Stream:
    return Stream(codec=Codec.OPUS, frames=opus(500), fps=50, track="mic", handle=1, ssrc=1, opened_at=OPENED_AT)


@pytest.fixture
def other(config: RecorderConfig, tmp_path: Path) -> RecorderConfig:
    """A second recorder, attached to another sfu."""
    return replace(config, sink_socket=tmp_path / "sinks-2", instance="recorder-2", abandoned_seconds=0.1)


def untouched_for(directory: Path, seconds: float) -> None:
    at = time.time() - seconds
    for path in (directory, *directory.rglob("*")):
        os.utime(path, (at, at))


def snapshot(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_a_recorder_that_starts_leaves_the_live_recording_of_another_alone(config, other) -> None:
    stream = microphone()
    records = list(stream.records())
    directory = config.recordings_dir / "rec1"
    async with SinkServer(config.sink_socket) as sfu, SinkServer(other.sink_socket) as second, running(config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[:300])
        packets = [record for record in records[:300] if isinstance(record, PacketRecord)]
        await sfu.until(lambda: sfu.durable.get(("mic", 1)) == packets[-1].ext_seq)
        before = snapshot(directory)
        async with running(other):
            await second.attached()
            # It looks for abandoned recordings ten times a second. Its own one is abandoned, and the other one is not.
            await second.send(begun("rec2", opened_at=OPENED_AT))
            await asyncio.to_thread(until, (config.recordings_dir / "rec2" / layout.INFO_NAME).exists, 30)
            second.detach()
            assert (await wait_for_manifest(config.recordings_dir / "rec2")).problems
            assert snapshot(directory) == before
        await sfu.send(*records[300:], ENDED)
        found = await wait_for_manifest(directory)
    assert (found.state, found.problems, found.instance) == ("ready", [], "recorder-1")
    assert found.tracks[0].files[0].frames == 500
    assert len(found.tracks[0].segments) == 1


async def test_what_nobody_has_touched_for_long_is_taken_over(config, other) -> None:
    stream = microphone()
    async with SinkServer(config.sink_socket) as sfu, running(config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
        await sfu.until(lambda: ("mic", 1) in sfu.durable)
    directory = config.recordings_dir / "rec1"
    untouched_for(directory, leases.ORPHANED_SECONDS + 60)
    async with SinkServer(other.sink_socket), running(other):
        found = await wait_for_manifest(directory)
    assert found.instance == "recorder-2"
    assert found.tracks[0].files[0].frames == 500


def recording_of(config: RecorderConfig) -> tuple[Recordings, Capture, Path]:
    recordings = Recordings(config.recordings_dir, config.instance)
    capture = Capture(config, recordings, Durability())
    capture.take(begun(opened_at=OPENED_AT), 0)
    return recordings, capture, config.recordings_dir / "rec1"


def test_a_recorder_that_lives_keeps_what_is_silent(config, other) -> None:
    recordings, _, directory = recording_of(config)
    untouched_for(directory, leases.ORPHANED_SECONDS + 60)
    assert recordings.renew(time.time()) == []
    assert Recordings(other.recordings_dir, other.instance).take_over(time.time()) == []


def test_of_two_that_take_over_one_has_it(config, other) -> None:
    _, _, directory = recording_of(config)
    untouched_for(directory, leases.ORPHANED_SECONDS + 60)
    late = Recordings(config.recordings_dir, "recorder-3")
    assert Recordings(other.recordings_dir, other.instance).take_over(time.time()) == ["rec1"]
    assert late.take_over(time.time()) == []
    info = manifest.read_info(directory)
    assert info is not None and info.instance == "recorder-2"


def test_who_comes_back_after_it_was_given_up_lets_go(config, other) -> None:
    """A machine that was suspended: another recorder has its recording by now."""
    recordings, capture, directory = recording_of(config)
    untouched_for(directory, leases.ORPHANED_SECONDS + 60)
    assert Recordings(other.recordings_dir, other.instance).take_over(time.time()) == ["rec1"]
    assert recordings.renew(time.time() + leases.ORPHANED_SECONDS) == ["rec1"]
    recordings.lose("rec1")
    capture.tick(0)
    assert recordings.unfinished() == []
    capture.take(ENDED, 0)
    info = manifest.read_info(directory)
    assert info is not None and (info.state, info.instance) == ("recording", "recorder-2")


async def test_recorders_of_the_nodes_of_one_room_share_its_recording(config, other) -> None:
    """The room has spilled over: each records who is on its node, and neither cuts into the other's segments."""
    here, there = microphone(), replace(microphone(), track="mic-2", participant="bob", ssrc=2)
    records, further = list(here.records()), list(there.records())
    async with (
        SinkServer(config.sink_socket) as sfu,
        SinkServer(other.sink_socket) as second,
        running(config),
        running(other),
    ):
        await sfu.attached()
        await second.attached()
        await sfu.send(begun(opened_at=OPENED_AT), here.opened(), *records[:300])
        await sfu.until(lambda: ("mic", 1) in sfu.durable)
        await second.send(begun(opened_at=OPENED_AT), there.opened(), *further[:300])
        await second.until(lambda: ("mic-2", 2) in second.durable)
        await sfu.send(*records[300:], ENDED)
        await second.send(*further[300:], ENDED)
        directory = config.recordings_dir / "rec1"
        await asyncio.to_thread(until, lambda: has_both(directory), 60)
    found = manifest.read_manifest(directory)
    assert found is not None and found.state == "ready"
    assert {track.track: track.files[0].frames for track in found.tracks} == {"mic": 500, "mic-2": 500}
    assert [len(track.segments) for track in found.tracks] == [1, 1]


def has_both(directory: Path) -> bool:
    """Return True if both tracks are finished, whole."""
    found = manifest.read_manifest(directory)
    return found is not None and [file.frames for track in found.tracks for file in track.files] == [500, 500]


async def test_two_of_one_name_are_refused(config) -> None:
    async with SinkServer(config.sink_socket) as sfu, running(config):
        await sfu.attached()
        with pytest.raises(FileExistsError, match="PARLEY_SFU_NODE"):
            async with running(config):
                pass


def test_a_name_is_a_file_name() -> None:
    assert leases.file_name("recorder-sfu-1") == "recorder-sfu-1"
    assert "/" not in leases.file_name("../../etc/x")
    assert not layout._IDENTIFIER.fullmatch(".recorders")
