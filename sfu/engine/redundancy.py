"""Decodes RED (RFC 2198) on arrival: recovers lost packets from redundant ones, with their sequence numbers.

Routes, cache and sinks get plain audio only, never RED. Blocks carry no sequence numbers. The n-th block before the
primary one is taken as the packet n positions earlier, if that position is empty and the timestamp fits between its
neighbours'. Otherwise the search ends, since older blocks were in earlier packets too.
"""

from collections.abc import Mapping, Sequence

from sfu.engine.contract import Payload
from sfu.engine.route import RoutedStream
from sfu.formats import red
from sfu.formats.codecs import Codec

_WRAPPINGS = (Codec.RTX, Codec.RED)
_MASK32 = 0xFFFFFFFF


def missing(
    stream: RoutedStream, ext_seq: int, timestamp: int, blocks: Sequence[red.Block]
) -> list[tuple[int, int, red.Block]]:
    """Return (ext_seq, timestamp, block) of packets that are missing right before this one and in its blocks, oldest
    first.
    """
    found: list[tuple[int, int, red.Block]] = []
    if stream.newest < 0:
        return found
    newer = blocks[-1]
    for distance, block in enumerate(reversed(blocks[:-1]), 1):
        position, sent = ext_seq - distance, (timestamp - block.offset) & _MASK32
        if block.offset <= newer.offset or block.end == block.start or not is_plain(stream.payloads, block):
            break
        if stream.refusal(position) is not None or not _follows(stream, position, sent):
            break
        found.append((position, sent, block))
        newer = block
    found.reverse()
    return found


def is_plain(payloads: Mapping[int, Payload], block: red.Block) -> bool:
    """Return True if the block can be forwarded."""
    entry = payloads.get(block.payload_type)
    return entry is not None and entry.codec not in _WRAPPINGS


def _follows(stream: RoutedStream, position: int, timestamp: int) -> bool:
    """Return True if the timestamp is later than that of the nearest packet before the position."""
    for earlier in range(position - 1, position - 1 - red.MAX_REDUNDANT, -1):
        packet = stream.get(earlier) if earlier >= 0 else None
        if packet is not None:
            return 0 < (timestamp - packet.timestamp) & _MASK32 < 1 << 31
    return True
