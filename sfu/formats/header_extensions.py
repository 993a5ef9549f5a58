"""RTP header extensions (RFC 8285): blocks of one- and two-byte elements, and coding of the values that the sfu uses.

A writer picks the one-byte form whenever ids and lengths allow it. Elements that run past their block are refused;
RFC 8285's stop rules (id 15, and padding with a length) end a block early.
"""

from collections.abc import Iterable
from typing import NamedTuple

_PLAYOUT_UNIT_NS = 10_000_000
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000


class AudioLevel(NamedTuple):
    """An audio level (RFC 6464): `level` in −dBov (0 loudest, 127 silence); `voice` is true if the sender detects
    speech.
    """

    level: int
    voice: bool


def parse_block(profile: int, data: bytes, start: int, end: int) -> tuple[tuple[int, bytes], ...]:
    """Return (id, value) of the elements in `data[start:end]`, in order; () for an unknown profile.

    Raises ValueError if an element runs past `end`.
    """
    if profile == ONE_BYTE_PROFILE:
        return _parse_one_byte(data, start, end)
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _parse_two_byte(data, start, end)
    return ()


def _parse_one_byte(data: bytes, offset: int, end: int) -> tuple[tuple[int, bytes], ...]:
    elements = []
    while offset < end:
        byte = data[offset]
        offset += 1
        if byte == 0:
            continue
        if byte < 0x10 or byte >= 0xF0:
            break
        stop = offset + (byte & 0x0F) + 1
        if stop > end:
            raise ValueError("header extension element runs past its block")
        elements.append((byte >> 4, bytes(data[offset:stop])))
        offset = stop
    return tuple(elements)


def _parse_two_byte(data: bytes, offset: int, end: int) -> tuple[tuple[int, bytes], ...]:
    elements = []
    while offset < end:
        identifier = data[offset]
        offset += 1
        if identifier == 0:
            continue
        if offset == end:
            raise ValueError("header extension element has no length")
        stop = offset + 1 + data[offset]
        if stop > end:
            raise ValueError("header extension element runs past its block")
        elements.append((identifier, bytes(data[offset + 1 : stop])))
        offset = stop
    return tuple(elements)


def write_block(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a complete extension block, including profile and length; b"" for no elements.

    Raises ValueError for ids outside 1..255 or values longer than 255 bytes.
    """
    elements = tuple(elements)
    if not elements:
        return b""
    body = bytearray()
    if all(identifier < 15 and 0 < len(value) <= 16 for identifier, value in elements):
        profile = ONE_BYTE_PROFILE
        for identifier, value in elements:
            if identifier < 1:
                raise ValueError("header extension id is not within 1..255")
            body.append(identifier << 4 | len(value) - 1)
            body += value
    else:
        profile = TWO_BYTE_PROFILE
        for identifier, value in elements:
            if not 1 <= identifier <= 255 or len(value) > 255:
                raise ValueError("header extension id or value does not fit")
            body.append(identifier)
            body.append(len(value))
            body += value
    body += bytes(-len(body) % 4)
    if len(body) > 4 * 0xFFFF:
        raise ValueError("header extensions do not fit")
    return profile.to_bytes(2, "big") + (len(body) // 4).to_bytes(2, "big") + body


def write_audio_level(level: AudioLevel) -> bytes:
    return bytes([level.level & 0x7F | (0x80 if level.voice else 0)])


def parse_transport_seq(value: bytes) -> int:
    """Return the 16-bit transport-wide seq; version 2's feedback request is ignored."""
    if len(value) not in (2, 4):
        raise ValueError("transport-wide seq is not two bytes")
    return int.from_bytes(value[:2], "big")


def write_transport_seq(seq: int) -> bytes:
    return (seq & 0xFFFF).to_bytes(2, "big")


def write_identifier(text: str) -> bytes:
    return text.encode("ascii")


def write_playout_delay(least: int, most: int) -> bytes:
    """Return a playout-delay extension: how long after its arrival a picture may be shown, in ns.

    Each is rounded to 10 ms, and limited to 40.95 s (http://www.webrtc.org/experiments/rtp-hdrext/playout-delay).
    """
    low, high = (min(max(delay + _PLAYOUT_UNIT_NS // 2, 0) // _PLAYOUT_UNIT_NS, 0xFFF) for delay in (least, most))
    return (low << 12 | high).to_bytes(3, "big")
