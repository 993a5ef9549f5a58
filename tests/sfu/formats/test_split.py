"""Splitting of RTP packets: sizes, headers, and that the parts assemble to the same frame as the packet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize
from sfu.formats.split import split_packet, split_payload
from sfu.frames.assembler import FrameAssembler

VIDEO = [Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1]


def packets_of(codec: Codec, frame: bytes, largest: int, *, keyframe: bool) -> list[bytes]:
    payloads = packetize(codec, frame, keyframe=keyframe, picture_id=7, max_bytes=largest)
    last = len(payloads) - 1
    return [
        rtp.serialize(rtp.RtpPacket(96, index, 7, 1, payload, marker=index == last, extensions=((3, b"abc"),)))
        for index, payload in enumerate(payloads)
    ]


def assembled(codec: Codec, packets: list[bytes]) -> list[object]:
    assembler = FrameAssembler(codec)
    out: list[object] = []
    for index, packet in enumerate(packets):
        numbered = packet[:2] + index.to_bytes(2, "big") + packet[4:]
        out += assembler.push(index, index, numbered)
    return out


def frame_of(codec: Codec, size: int, seed: int) -> bytes:
    body = bytes((seed + 31 * index) % 255 + 1 for index in range(size))
    match codec:
        case Codec.H264:
            return b"\0\0\1\x09\xf0" + b"\0\0\1\x06" + body[:40] + b"\0\0\1\x65" + body
        case Codec.AV1:
            return bytes([0x32]) + _leb128(len(body)) + body
    return body


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
@given(
    size=st.integers(100, 9000), seed=st.integers(0, 254), first=st.integers(300, 4000), smaller=st.integers(128, 1200)
)
def test_parts_are_assembled_to_the_same_frame(codec: Codec, size: int, seed: int, first: int, smaller: int) -> None:
    whole = packets_of(codec, frame_of(codec, size, seed), first, keyframe=True)
    parts = [part for packet in whole for part in split_packet(codec, packet, smaller)]
    assert all(len(part) <= smaller for part in parts)
    headers = [rtp.parse_header(part) for part in parts]
    assert [header.marker for header in headers] == [False] * (len(parts) - 1) + [True]
    assert {header.extensions for header in headers} == {((3, b"abc"),)}
    (expected,), (found,) = assembled(codec, whole), assembled(codec, parts)
    assert found.data == expected.data and found.keyframe == expected.keyframe  # type: ignore[attr-defined]


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
@given(payload=st.binary(max_size=3000), largest=st.integers(64, 1200))
def test_whatever_the_payload_it_is_split_or_refused(codec: Codec, payload: bytes, largest: int) -> None:
    try:
        parts = split_payload(codec, payload, largest)
    except ValueError:
        return
    assert parts == [payload] or all(len(part) <= largest for part in parts)


def test_sound_is_not_split() -> None:
    assert split_payload(Codec.OPUS, bytes(3000), 1200) == [bytes(3000)]
