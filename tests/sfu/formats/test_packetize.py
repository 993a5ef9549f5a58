"""Packetisers: sizes, refusals, and that assembly restores every frame."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize, split_annex_b
from sfu.frames.assembler import Frame, FrameAssembler


def noise(largest):
    """Bytes of any length up to `largest`, long ones as likely as short."""
    return st.builds(lambda size, seed: Random(seed).randbytes(size), st.integers(1, largest), st.integers(0, 99))


nal_units = st.lists(
    st.builds(
        lambda kind, importance, body: bytes([importance << 5 | kind]) + body.replace(b"\0", b"\1"),
        st.sampled_from([1, 5, 6, 9]),
        st.integers(0, 3),
        noise(1500),
    ),
    min_size=1,
    max_size=6,
)


def assemble(codec, payloads, marker=True):
    assembler = FrameAssembler(codec)
    out = []
    for index, payload in enumerate(payloads):
        packet = rtp.RtpPacket(96, index, 7, 1, payload, marker=marker and index == len(payloads) - 1)
        out += assembler.push(index, index, rtp.serialize(packet))
    return out


@given(noise(3000), st.integers(64, 1200), st.integers(0, 2**20), st.booleans())
@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.OPUS, Codec.G722], ids=lambda codec: codec.name)
def test_assembly_gives_the_frame_back(codec, frame, largest, picture_id, keyframe):
    payloads = packetize(codec, frame, keyframe=keyframe, picture_id=picture_id, max_bytes=largest)
    if not codec.is_audio:
        assert all(len(payload) <= largest for payload in payloads)
        assert max(map(len, payloads)) - min(map(len, payloads)) <= 1
    [out] = assemble(codec, payloads)
    assert isinstance(out, Frame)
    assert out.data == frame


@given(nal_units, st.integers(64, 500), st.sampled_from([b"\0\0\1", b"\0\0\0\1"]))
def test_h264_units_come_back_with_long_start_codes(units, largest, start_code):
    units = [b"\x09\xf0", *units]  # a delimiter: the first access unit of a stream needs a certain beginning
    frame = b"".join(start_code + unit for unit in units)
    assert split_annex_b(frame) == units
    payloads = packetize(Codec.H264, frame, keyframe=False, max_bytes=largest)
    assert all(len(payload) <= largest for payload in payloads)
    out = assemble(Codec.H264, payloads)
    if any(1 <= unit[0] & 0x1F <= 5 for unit in units):
        assert out[0].data == b"".join(b"\0\0\0\1" + unit for unit in units)
    else:
        assert out == []


@pytest.mark.parametrize(
    ("codec", "frame"),
    [
        (Codec.VP8, b""),
        (Codec.RTX, b"abc"),
        (Codec.RED, b"abc"),
        (Codec.H264, b"no start code"),
        (Codec.AV1, b"\x12\x00"),
        (Codec.AV1, b"\x32\x7f"),
    ],
)
def test_what_is_no_frame_is_refused(codec, frame):
    with pytest.raises(ValueError):
        packetize(codec, frame, keyframe=True)


def test_payloads_have_a_least_size():
    with pytest.raises(ValueError, match="64"):
        packetize(Codec.VP8, b"abc", keyframe=True, max_bytes=63)
