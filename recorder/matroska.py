"""Matroska clusters and blocks (RFC 9559) of captured segments: written one by one, and readable even if torn.

FFmpeg writes a segment's header. Its muxer would keep a second of packets in memory, even with `live=1` and
`flush_packets=1` (measured, FFmpeg 8.1), and a kill would lose them. So this module writes blocks: clusters have an
unknown size, every frame is one SimpleBlock of track 1, and everything written is valid at any time.
"""

from typing import NamedTuple

CLUSTER = 0x1F43B675
_SEGMENT = 0x18538067
_TRACKS = 0x1654AE6B
_TRACK_ENTRY = 0xAE
_CODEC_PRIVATE = 0x63A2
_TIMESTAMP = 0xE7
_SIMPLE_BLOCK = 0xA3
_UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"
_KEYFRAME = 0x80

MAX_RELATIVE = 0x7FFF
"""The maximum distance of a block's timestamp from its cluster's, in ms."""


class Block(NamedTuple):
    """A frame in the file: its bytes are `data[start:end]`, `timestamp` is in ms."""

    start: int
    end: int
    timestamp: int
    keyframe: bool


class Contents(NamedTuple):
    """Content of a segment. `header_bytes` precede the first cluster; `end` is the end of the complete part."""

    header_bytes: int
    blocks: list[Block]
    end: int


def cluster_header(timestamp: int) -> bytes:
    """Return the start of a cluster of unknown size whose blocks count from `timestamp` ms."""
    return CLUSTER.to_bytes(4, "big") + _UNKNOWN_SIZE + bytes([_TIMESTAMP, 0x88]) + timestamp.to_bytes(8, "big")


def block_header(size: int, relative: int, keyframe: bool) -> bytes:
    """Return the block header of a frame of `size` bytes, `relative` ms after its cluster; raises ValueError."""
    if not 0 <= relative <= MAX_RELATIVE:
        raise ValueError("block too far from its cluster")
    body = (size + 4) | 1 << 56
    flags = _KEYFRAME if keyframe else 0
    return bytes([_SIMPLE_BLOCK]) + body.to_bytes(8, "big") + b"\x81" + relative.to_bytes(2, "big") + bytes([flags])


def read_contents(data: bytes | memoryview) -> Contents:
    """Return the complete part of a segment that may end anywhere; never raises, for any bytes.

    Unknown elements are skipped; an element that does not fit into the data ends the complete part.
    """
    blocks: list[Block] = []
    position, header_bytes, cluster_timestamp, end = 0, 0, 0, 0
    in_cluster = False
    while True:
        element = _element(data, position)
        if element is None:
            break
        identifier, start, size = element
        if identifier == CLUSTER or (identifier == _SEGMENT and not in_cluster):
            if identifier == CLUSTER and not in_cluster:
                in_cluster, header_bytes = True, position
            position = start
            continue
        if size is None or start + size > len(data):
            break
        if identifier == _TIMESTAMP and in_cluster:
            cluster_timestamp = int.from_bytes(data[start : start + size], "big")
        elif identifier == _SIMPLE_BLOCK and in_cluster and size >= 4:
            relative = int.from_bytes(data[start + 1 : start + 3], "big", signed=True)
            keyframe = bool(data[start + 3] & _KEYFRAME)
            blocks.append(Block(start + 4, start + size, cluster_timestamp + relative, keyframe))
        position = start + size
        if not in_cluster or identifier == _SIMPLE_BLOCK:
            end = position
    return Contents(header_bytes if in_cluster else end, blocks, end)


def codec_private(header: bytes) -> bytes:
    """Return the first track's CodecPrivate from a segment's header, b"" when it has none."""
    position = 0
    while (element := _element(header, position)) is not None:
        identifier, start, size = element
        if identifier in (_SEGMENT, _TRACKS, _TRACK_ENTRY):
            position = start
        elif size is None or start + size > len(header):
            break
        elif identifier == _CODEC_PRIVATE:
            return bytes(header[start : start + size])
        else:
            position = start + size
    return b""


def _element(data: bytes | memoryview, position: int) -> tuple[int, int, int | None] | None:
    """Return (id, start of the content, its size or None when unknown) of an EBML element (RFC 8794), None if torn."""
    if position >= len(data):
        return None
    id_bytes = 9 - data[position].bit_length()
    size_at = position + id_bytes
    if id_bytes > 4 or size_at >= len(data):
        return None
    size_bytes = 9 - data[size_at].bit_length()
    start = size_at + size_bytes
    if size_bytes > 8 or start > len(data):
        return None
    mask = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(data[size_at:start], "big") & mask
    return int.from_bytes(data[position:size_at], "big"), start, None if size == mask else size
