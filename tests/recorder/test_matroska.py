"""Blocks: FFmpeg reads what we write, and torn blocks are found, whatever the bytes."""

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import matroska
from recorder.block_payload import block_payload
from recorder.container_header import segment_header
from sfu.formats.codecs import Codec
from tests.recorder.media import ENCODERS, opus, video

SIZES = [(b"x" * size, at, at % 3 == 0) for at, size in enumerate((1, 100, 5000, 70_000, 3))]


def segment(codec, frames, step):
    """A segment's bytes as they are captured, without its journal."""
    data, keyframe = frames[0]
    out = segment_header(codec, data, 192, 128, 2)
    for index, (data, keyframe) in enumerate(frames):
        if index % 50 == 0:
            out += matroska.cluster_header(index * step)
        payload = block_payload(codec, data)
        out += matroska.block_header(len(payload), index % 50 * step, keyframe) + payload
    return out


@pytest.mark.parametrize("codec", [*ENCODERS, Codec.OPUS], ids=lambda codec: codec.name)
def test_ffmpeg_reads_a_segment(codec):
    frames = [(d.removeprefix(b"\x12\x00"), k) for d, k in (opus(120) if codec is Codec.OPUS else video(codec, 60))]
    data = segment(codec, frames, 20)
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        assert [round(p.pts * p.time_base * 1000) for p in packets][1:4] == pytest.approx([20, 40, 60], abs=7)
        assert len(packets) == len(frames)
        if codec is Codec.OPUS:
            assert container.streams[0].codec_context.extradata.startswith(b"OpusHead")
        else:
            assert (container.streams[0].codec_context.width, container.streams[0].codec_context.height) == (192, 128)
    contents = matroska.read_contents(data)
    assert contents.end == len(data)
    assert [data[b.start : b.end] for b in contents.blocks] == [block_payload(codec, d) for d, _ in frames]
    assert [b.timestamp for b in contents.blocks] == [20 * index for index in range(len(frames))]
    assert [b.keyframe for b in contents.blocks] == [k for _, k in frames]


def test_every_cut_of_a_segment_ends_at_its_last_whole_block():
    frames = opus(8)
    data = segment(Codec.OPUS, frames, 20)
    whole = matroska.read_contents(data)
    ends = [block.end for block in whole.blocks]
    for cut in range(whole.header_bytes, len(data) + 1):
        contents = matroska.read_contents(data[:cut])
        assert contents.blocks == [block for block in whole.blocks if block.end <= cut]
        assert contents.header_bytes == whole.header_bytes
        assert contents.end == max((end for end in ends if end <= cut), default=whole.header_bytes)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_have_contents(junk, at):
    data = segment(Codec.OPUS, opus(8)[:3], 20)
    for candidate in (junk, data[:at] + junk + data[at:], data + junk):
        contents = matroska.read_contents(candidate)
        assert all(0 <= block.start <= block.end <= len(candidate) for block in contents.blocks)
        assert contents.header_bytes <= len(candidate)
        matroska.codec_private(candidate)


def test_a_block_too_far_from_its_cluster_is_refused():
    with pytest.raises(ValueError, match="far"):
        matroska.block_header(1, 0x8000, False)


def test_codec_private_is_what_ffmpeg_finds():
    data, _ = video(Codec.H264, 60)[0]
    header = segment_header(Codec.H264, data, 192, 128, 1)
    assert matroska.codec_private(header).startswith(b"\x01\x42")
    assert matroska.codec_private(segment_header(Codec.VP8, b"", 16, 16, 1)) == b""


def test_a_header_needs_parameter_sets():
    delta, keyframe = video(Codec.H264, 60)[1]
    assert not keyframe
    for frame in (delta, b"", b"\x00\x00\x00\x01"):
        with pytest.raises(ValueError, match="H264"):
            segment_header(Codec.H264, frame, 192, 128, 1)
    with pytest.raises(ValueError, match="AV1"):
        segment_header(Codec.AV1, b"\x32\x01\x00", 192, 128, 1)


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\x00\x00\x00" not in b and b[-1] and b[0])))
def test_nal_units_stand_behind_their_lengths(units):
    access_unit = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    assert block_payload(Codec.H264, access_unit) == b"".join(len(u).to_bytes(4, "big") + u for u in units)
    assert block_payload(Codec.VP8, access_unit) == access_unit
