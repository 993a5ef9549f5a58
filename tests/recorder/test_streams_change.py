"""Changes of a track during recording: of layer, size and codec; pauses; lost packets; a lost sfu."""

import dataclasses
import random

import av
import msgspec
import pytest

from recorder import signing
from recorder.config import RecorderConfig
from sfu.api.sink_records import (
    MissedRecord,
    PacketRecord,
    RecordingEnded,
    SenderReportRecord,
    TrackClosed,
    TrackMuteChanged,
)
from sfu.formats.codecs import Codec
from tests.recorder.conftest import running, wait_for_manifest
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import SinkServer, begun

OPENED_AT = 40 * SECOND
ENDED = RecordingEnded(recording="rec1", room="room1")


def camera(codec=Codec.VP8, handle=1, count=60, first=0, start=0.0, width=192, height=128, gop=30, **options):
    frames = video(codec, count, fps=30, first=first, width=width, height=height, keyframe_every=gop)
    return Stream(
        codec=codec, frames=frames, fps=30, track="cam", handle=handle, ssrc=options.pop("ssrc", 10 + handle),
        opened_at=options.pop("opened_at", OPENED_AT), start=start, **options,
    )  # fmt: skip


async def one_after_another(attached, *streams):
    """Record streams of one track that replace each other; return the finished track."""
    await attached.sfu.send(begun(opened_at=OPENED_AT))
    for stream in streams:
        await attached.sfu.send(stream.opened(), *stream.records())
        await attached.sfu.send(TrackClosed(handle=stream.handle, reason="replaced"))
    await attached.sfu.send(ENDED)
    (track,) = (await attached.manifest()).tracks
    return track


def numbers(attached, *files):
    found = []
    for file in files:
        with av.open(attached.config.recordings_dir / file.key) as container:
            found.append([read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)])
    return found


async def test_another_layer_goes_into_the_same_file(attached):
    track = await one_after_another(
        attached, camera(), camera(handle=2, first=60, start=2, width=384, height=256, ntp_offset=3)
    )
    assert numbers(attached, *track.files) == [list(range(120))]
    assert abs(track.duration_ms - 4000) < 60


async def test_going_back_to_a_layer(attached):
    first, second = camera(count=120), camera(handle=2, first=60, start=2.0, count=30)
    records = list(first.records())
    half = next(i for i, r in enumerate(records) if r.arrival > OPENED_AT + round(2.01 * SECOND))
    later = next(i for i, r in enumerate(records) if r.arrival > OPENED_AT + round(3.01 * SECOND))
    again = msgspec.structs.replace(first.opened(), handle=3)
    await attached.sfu.send(begun(opened_at=OPENED_AT), first.opened(), *records[:half])
    await attached.sfu.send(TrackClosed(handle=1, reason="replaced"), second.opened(), *second.records())
    await attached.sfu.send(TrackClosed(handle=2, reason="replaced"), again)
    await attached.sfu.send(*(r._replace(handle=3) for r in records[later:]), ENDED)
    (track,) = (await attached.manifest()).tracks
    assert track.lost_packets == 0
    assert numbers(attached, *track.files) == [list(range(120))]


async def test_layers_that_overlap_are_told_once(attached):
    """The lower layer ran on for a second beside the higher: the higher one's frames count."""
    track = await one_after_another(attached, camera(count=90), camera(handle=2, first=60, start=2.0))
    assert numbers(attached, *track.files) == [list(range(120))]
    assert abs(track.duration_ms - 4000) < 60


@pytest.mark.parametrize("start", [2.0, 9.8])  # within a segment, and across the cut between two
async def test_a_layer_that_came_and_went_beside_another_is_left_out(attached, start):
    steady, brief = camera(count=360), camera(handle=2, first=round(start * 30), start=start, count=20)
    await attached.sfu.send(begun(opened_at=OPENED_AT), steady.opened(), *steady.records())
    await attached.sfu.send(brief.opened(), *brief.records(), TrackClosed(handle=2, reason="replaced"), ENDED)
    (track,) = (await attached.manifest()).tracks
    assert len(track.segments) == 3
    assert numbers(attached, *track.files) == [list(range(360))]


async def test_h264_of_another_size_is_another_file(attached):
    track = await one_after_another(
        attached, camera(Codec.H264), camera(Codec.H264, handle=2, first=60, start=2, width=384, height=256)
    )
    assert [file.key for file in track.files] == ["rec1/cam.mp4", "rec1/cam.2.mp4"]
    assert numbers(attached, *track.files) == [list(range(60)), list(range(60, 120))]
    assert [(file.width, file.height) for file in track.files] == [(192, 128), (384, 256)]
    assert abs(track.files[1].start_ms - track.files[0].start_ms - 2000) < 40


async def test_another_codec_is_another_file(attached):
    track = await one_after_another(attached, camera(), camera(Codec.VP9, handle=2, first=60, start=2))
    assert [file.codec for file in track.files] == ["vp8", "vp9"]
    assert numbers(attached, *track.files) == [list(range(60)), list(range(60, 120))]


async def test_after_a_loss_a_keyframe_is_asked_for_and_waited_for(attached):
    stream = camera(count=90, gop=75)
    records = list(stream.records())
    packets = [r for r in records if isinstance(r, PacketRecord)]
    lost = packets[len(packets) // 3]
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened())
    answer = next(
        i for i, r in enumerate(records) if isinstance(r, PacketRecord) and r.arrival > OPENED_AT + 5 * SECOND // 2
    )
    await attached.sfu.send(*(r for r in records[:answer] if r is not lost))
    await attached.sfu.until(lambda: 1 in attached.sfu.asked_for_keyframes())
    await attached.sfu.send(*records[answer:])
    await attached.sfu.send(ENDED)
    manifest = await attached.manifest()
    (track,) = manifest.tracks
    assert manifest.state == "ready"  # the sfu had not received it either
    assert track.lost_packets == 1
    assert numbers(attached, *track.files) == [[*range(30), *range(75, 90)]]


async def test_what_the_sfu_says_is_missed_is_not_waited_for(attached):
    stream = Stream(
        codec=Codec.OPUS, frames=opus(100), fps=50, track="mic", handle=1, ssrc=5, opened_at=OPENED_AT
    )  # fmt: skip
    records = list(stream.records())
    packets = [r for r in records if isinstance(r, PacketRecord)]
    missed = packets[10:13]
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened())
    await attached.sfu.send(*(r for r in records if r not in missed), MissedRecord(1, missed[0].ext_seq, 3), ENDED)
    (track,) = (await attached.manifest()).tracks
    assert (track.lost_packets, track.files[0].frames) == (3, 97)


async def test_a_track_begins_at_its_first_keyframe_which_is_asked_for(attached):
    stream = camera(count=90)
    records = list(stream.records())
    first = next(i for i, r in enumerate(records) if r.arrival > OPENED_AT + SECOND // 2)
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[first : first + 5])
    await attached.sfu.until(lambda: attached.sfu.asked_for_keyframes() == [1])
    await attached.sfu.send(*records[first + 5 :], ENDED)
    (track,) = (await attached.manifest()).tracks
    assert numbers(attached, *track.files) == [list(range(30, 90))]
    assert abs(track.start_ms - 1000) < 40


async def test_segments_are_cut_at_keyframes_and_reported(attached):
    stream = camera(count=30 * 25)
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records(), ENDED)
    (track,) = (await attached.manifest()).tracks
    assert [segment.key for segment in track.segments] == [f"rec1/cam/1-{n}.webm" for n in (1, 2, 3)]
    assert numbers(attached, *track.files) == [list(range(750))]
    assert attached.sfu.asked_for_keyframes() == []


@pytest.mark.parametrize("gop, numbered", [(60, [*range(60, 120)]), (1000, [])])
async def test_pictures_after_a_lost_segment_wait_for_a_keyframe(attached, gop, numbered):
    """A sender that stood still for long begins a segment at any picture; then a disk loses the segment before."""
    stream = camera(count=120, gop=gop)
    records = [
        r if r.arrival < OPENED_AT + 4 * SECOND // 3 else r._replace(arrival=r.arrival + 11 * SECOND)
        for r in stream.records()
    ]
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records)
    await attached.sfu.until(lambda: attached.sfu.durable.get(("cam", 11), 0) == max(stream.arrivals))
    first, second = sorted((attached.config.recordings_dir / "rec1" / "cam").glob("*.webm"))
    for path in (first, first.with_suffix(".jnl")):
        path.unlink()
    assert second.exists()
    await attached.sfu.send(ENDED)
    (track,) = (await attached.manifest()).tracks
    assert [number for file in numbers(attached, *track.files) for number in file] == numbered


async def test_mutes_are_in_the_manifest(attached):
    stream = camera(count=150)
    cut = [r for r in stream.records() if r.arrival < OPENED_AT + 2 * SECOND]
    rest = [r for r in stream.records() if r.arrival >= OPENED_AT + 4 * SECOND]
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *cut)
    await attached.sfu.send(TrackMuteChanged(handle=1, muted=True, at=OPENED_AT + 2 * SECOND))
    await attached.sfu.send(TrackMuteChanged(handle=1, muted=False, at=OPENED_AT + 4 * SECOND), *rest, ENDED)
    (track,) = (await attached.manifest()).tracks
    assert track.muted == [(2000, 4000)]


@pytest.mark.parametrize("seed", range(3))
async def test_broken_and_foreign_records_harm_nothing(attached, seed):
    dice = random.Random(seed)
    stream = camera()
    await attached.sfu.send(begun(opened_at=OPENED_AT), begun("../up"), stream.opened())
    for bad in ({"track": "../../x"}, {"recording": "unknown"}, {"codec": "rtx"}, {"codec": "??"}):
        await attached.sfu.send(msgspec.structs.replace(stream.opened(), handle=7, **bad))
    for record in stream.records():
        await attached.sfu.send(record)
        junk = dice.randbytes(dice.randrange(60))
        await attached.sfu.send(PacketRecord(1, dice.randrange(2**40, 2**41), record.arrival, junk[:11]))
        await attached.sfu.send(PacketRecord(99, 5, record.arrival, junk))
        await attached.sfu.send(SenderReportRecord(1, 4242, 1, 1, record.arrival), TrackClosed(handle=98, reason="x"))
    await attached.sfu.send(ENDED)
    manifest = await attached.manifest()
    assert numbers(attached, *manifest.tracks[0].files) == [list(range(60))]
    assert manifest.state == "partial"  # two tracks that could not be recorded
    # Beside the recorders' names (recorder/layout.py) and the key of signatures there is one recording.
    found = sorted(path.name for path in attached.config.recordings_dir.iterdir())
    assert found == [".recorders", signing.DEFAULT_NAME, "rec1"]


async def test_a_killed_sfu_costs_nothing_and_its_successor_is_a_new_life(config: RecorderConfig):
    """The socket closes without notice; the next sfu has other handles, other clocks, and small numbers again."""
    before, after = camera(first_seq=9000), camera(first=60, ssrc=11, first_seq=10, opened_at=OPENED_AT + 5 * SECOND)
    after.opened_unix_ms += 5000
    async with running(config):
        async with SinkServer(config.sink_socket) as sfu:
            await sfu.attached()
            await sfu.send(begun(opened_at=OPENED_AT), before.opened(), *before.records())
            last = max(before.arrivals)
            await sfu.until(lambda: sfu.durable.get(("cam", 11), 0) == last)
        async with SinkServer(config.sink_socket) as sfu:
            await sfu.attached()
            await sfu.send(begun(opened_at=OPENED_AT + 5 * SECOND), after.opened(), *after.records(), ENDED)
            manifest = await wait_for_manifest(config.recordings_dir / "rec1")
    (track,) = manifest.tracks
    with av.open(config.recordings_dir / track.files[0].key) as container:
        images = [(read_number(i.to_ndarray(format="gray")), float(i.time)) for i in container.decode(video=0)]
    assert [number for number, _ in images] == list(range(120))
    assert images[60][1] == pytest.approx(5.0, abs=0.05)


async def test_a_recording_that_the_sfu_has_forgotten_is_finished_as_partial(config: RecorderConfig):
    config = dataclasses.replace(config, abandoned_seconds=0.3)
    stream = camera()
    async with running(config):
        async with SinkServer(config.sink_socket) as sfu:
            await sfu.attached()
            await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
            await sfu.until(lambda: sfu.durable.get(("cam", 11), 0) == max(stream.arrivals))
        async with SinkServer(config.sink_socket) as sfu:
            await sfu.attached()
            manifest = await wait_for_manifest(config.recordings_dir / "rec1")
    assert manifest.state == "partial"
    assert manifest.tracks[0].files[0].frames == 60


async def test_a_finished_recording_may_begin_again(attached):
    first, second = camera(), camera(first=60, handle=2, start=2.0)
    await attached.sfu.send(begun(opened_at=OPENED_AT), first.opened(), *first.records(), ENDED)
    await attached.manifest()
    (attached.config.recordings_dir / "rec1" / "manifest.json").unlink()
    await attached.sfu.send(begun(opened_at=OPENED_AT), second.opened(), *second.records(), ENDED)
    (track,) = (await attached.manifest()).tracks
    assert numbers(attached, *track.files) == [list(range(120))]
