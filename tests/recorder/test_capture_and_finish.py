"""Packets in, finished files with every frame out."""

import random

import av
import pytest

from recorder import finisher
from recorder.manifest import ManifestTrack
from sfu.api.sink_records import PacketRecord, RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import begun, by_arrival

OPENED_AT = 1_000 * SECOND
DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "h264": "h264", "av1": "libdav1d"}
VIDEO = [Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1]


def camera(codec, count=90, **options):
    return Stream(
        codec=codec, frames=video(codec, count), fps=30, track="cam", handle=1, ssrc=11, opened_at=OPENED_AT, **options
    )


def microphone(count=150, **options):
    return Stream(
        codec=Codec.OPUS, frames=opus(count), fps=50, track="mic", handle=2, ssrc=22, opened_at=OPENED_AT, **options
    )


def decoded_numbers(root, track: ManifestTrack):
    """(number, seconds in the file) of every frame of a finished video track."""
    numbers = []
    for file in track.files:
        with av.open(root / file.key) as container:
            decoder = av.CodecContext.create(DECODERS[file.codec], "r")
            decoder.extradata = container.streams.video[0].codec_context.extradata
            for packet in container.demux(video=0):
                numbers += [
                    (read_number(image.to_ndarray(format="gray")), float(image.pts * image.time_base))
                    for image in decoder.decode(packet)
                ]
    return numbers


async def record(attached, *streams, change=lambda records: records):
    await attached.sfu.send(begun(opened_at=OPENED_AT), *(stream.opened() for stream in streams))
    await attached.sfu.send(*change(by_arrival(*(stream.records() for stream in streams))))
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    return await attached.manifest()


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
async def test_every_frame_is_in_the_finished_file(attached, codec):
    manifest = await record(attached, camera(codec), microphone())
    tracks = {track.track: track for track in manifest.tracks}
    root = attached.config.recordings_dir
    assert manifest.state == "ready"
    assert tracks["cam"].files[0].key == "rec1/cam.mp4" if codec is Codec.H264 else "rec1/cam.webm"
    numbers = decoded_numbers(root, tracks["cam"])
    assert [number for number, _ in numbers] == list(range(90))
    assert [at for _, at in numbers] == pytest.approx([index / 30 for index in range(90)], abs=0.002)
    assert abs(tracks["cam"].duration_ms - 3000) < 40
    with av.open(root / tracks["mic"].files[0].key) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
        assert packets == [data for data, _ in opus(150)]
        assert abs(container.duration / 1e6 - 3) < 0.03
        assert container.streams.audio[0].codec_context.extradata.startswith(b"OpusHead")
    for file in (file for track in manifest.tracks for file in track.files):
        assert (root / file.key).stat().st_size == file.bytes


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
async def test_repaired_losses_leave_no_trace(attached, codec):
    """5 % of packets come half a second late, as a repair over a bad uplink does."""

    def late(records):
        dice = random.Random(7)
        delayed = [
            record._replace(arrival=record.arrival + SECOND // 2)
            if isinstance(record, PacketRecord) and dice.random() < 0.05
            else record
            for record in records
        ]
        assert delayed != records
        return sorted(delayed, key=lambda record: record.arrival)

    manifest = await record(attached, camera(codec), microphone(), change=late)
    tracks = {track.track: track for track in manifest.tracks}
    assert [number for number, _ in decoded_numbers(attached.config.recordings_dir, tracks["cam"])] == list(range(90))
    assert tracks["mic"].files[0].frames == 150
    assert tracks["cam"].lost_packets == tracks["mic"].lost_packets == 0


async def test_a_recording_that_cannot_be_finished_holds_no_other_up(attached, monkeypatch):
    """Its own next attempt comes later, whatever it was that failed."""
    finish = finisher.finish

    def breaks(root, info, *rest, **named):
        if info.recording == "rec1":
            raise KeyError("a track that nobody knows")
        return finish(root, info, *rest, **named)

    monkeypatch.setattr(finisher, "finish", breaks)
    for name in ("rec1", "rec2"):
        sound = microphone(recording=name)
        await attached.sfu.send(begun(name, opened_at=OPENED_AT), sound.opened(), *sound.records())
        await attached.sfu.send(RecordingEnded(recording=name, room="room1"))
    assert (await attached.manifest("rec2")).state == "ready"
    assert not (attached.config.recordings_dir / "rec1" / "manifest.json").exists()


async def test_a_recording_in_which_nothing_was_sent_is_empty(attached):
    manifest = await record(attached)
    assert (manifest.state, manifest.duration_ms, manifest.tracks, manifest.problems) == ("empty", 0, [], [])
