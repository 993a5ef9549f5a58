"""Opus packets of an Ogg file (RFC 3533, RFC 7845): of the sounds that the server plays."""

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("<4sBBqIIIB")
_HEADERS = 2
"""The packets before the sound: OpusHead and OpusTags."""
_CONTINUES = 255


def opus_packets(data: bytes) -> list[bytes]:
    """Return the packets of sound of a file with one stream, in order. Raises ValueError if it is not one."""
    packets: list[bytes] = []
    begun = b""
    for sizes, body in _pages(data):
        at = 0
        for size in sizes:
            begun += body[at : at + size]
            at += size
            if size < _CONTINUES:
                packets.append(begun)
                begun = b""
    if begun or not packets or not packets[0].startswith(b"OpusHead"):
        raise ValueError("not an Ogg file with Opus")
    return [packet for packet in packets[_HEADERS:] if packet]


def _pages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the segment sizes and the content of each page."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise ValueError("an Ogg page is cut off")
        capture, version, _, _, _, _, _, count = _HEADER.unpack_from(data, at)
        sizes = data[at + _HEADER.size : at + _HEADER.size + count]
        begin = at + _HEADER.size + count
        at = begin + sum(sizes)
        if capture != b"OggS" or version or len(sizes) < count or at > len(data):
            raise ValueError("not an Ogg page")
        yield sizes, data[begin:at]
