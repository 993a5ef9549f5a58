"""Redundant audio (RFC 2198): a packet repeats earlier ones, each as a block before its own, the primary block.

More than `MAX_REDUNDANT` earlier blocks are refused. Chromium sends one, or up to nine if so configured.
"""

from collections.abc import Sequence
from typing import NamedTuple

MAX_REDUNDANT = 9
MAX_OFFSET = (1 << 14) - 1
MAX_BLOCK_BYTES = (1 << 10) - 1
_BLOCK_HEADER_BYTES = 4


class Block(NamedTuple):
    """A block: `payload[start:end]` is from the packet `offset` timestamp units before this one; 0 for the primary
    block.
    """

    payload_type: int
    offset: int
    start: int
    end: int


def parse(payload: bytes) -> tuple[Block, ...]:
    """Return the blocks of a payload in wire order, oldest first and primary last; raises ValueError."""
    headers: list[tuple[int, int, int]] = []
    at, size = 0, len(payload)
    while at < size and payload[at] & 0x80:
        if at + _BLOCK_HEADER_BYTES > size or len(headers) == MAX_REDUNDANT:
            raise ValueError("RED block headers run past the payload, or are too many")
        header = int.from_bytes(payload[at : at + _BLOCK_HEADER_BYTES], "big")
        headers.append((payload[at] & 0x7F, header >> 10 & MAX_OFFSET, header & MAX_BLOCK_BYTES))
        at += _BLOCK_HEADER_BYTES
    if at >= size:
        raise ValueError("RED payload has no primary block")
    primary = payload[at]
    at += 1
    blocks: list[Block] = []
    for payload_type, offset, length in headers:
        blocks.append(Block(payload_type, offset, at, at + length))
        at += length
    if at > size:
        raise ValueError("RED blocks run past the payload")
    return (*blocks, Block(primary, 0, at, size))


def serialize(redundant: Sequence[tuple[int, int, bytes]], payload_type: int, primary: bytes) -> bytes:
    """Return a payload of earlier blocks (payload type, offset, data), oldest first, and the primary block.

    Raises ValueError if a field does not fit.
    """
    if len(redundant) > MAX_REDUNDANT:
        raise ValueError("too many RED blocks")
    headers = b""
    for number, offset, data in redundant:
        if not (0 <= number <= 127 and 0 <= offset <= MAX_OFFSET and len(data) <= MAX_BLOCK_BYTES):
            raise ValueError("RED block does not fit")
        headers += ((0x80 | number) << 24 | offset << 10 | len(data)).to_bytes(_BLOCK_HEADER_BYTES, "big")
    if not 0 <= payload_type <= 127:
        raise ValueError("RED payload type does not fit")
    return headers + bytes([payload_type]) + b"".join(data for _, _, data in redundant) + primary
