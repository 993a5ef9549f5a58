"""Messages of workers that share a UDP port: to the process that starts them, and to each other.

Those to and from that process are lines of JSON over a socket pair: RESET from a process that has started, answered in
kind, and lists of announced paths. Datagrams that workers hand to each other are MessagePack.
"""

from collections.abc import Iterable, Sequence

import msgspec

from sfu.engine.contract import Address, Leftover
from sfu.peers.shared_port import PathNews

RESET = b"reset\n"
MAX_LINE_BYTES = 1 << 20
_MAX_NEWS = 512
_MAX_HANDED_BYTES = 128 * 1024


class Handed(msgspec.Struct, frozen=True, array_like=True):
    """A datagram that reached another worker."""

    data: bytes
    source: Address
    local: int
    arrival: int


def encode_news(news: Sequence[PathNews]) -> bytes:
    """Return lines of JSON, none without news."""
    parts = [news[at : at + _MAX_NEWS] for at in range(0, len(news), _MAX_NEWS)]
    return b"".join(msgspec.json.encode(part) + b"\n" for part in parts)


def decode_news(line: bytes) -> list[PathNews]:
    """Return the news of a line; raises ValueError for anything else."""
    return msgspec.json.decode(line, type=list[PathNews])


def encode_handed(leftovers: Iterable[Leftover]) -> list[bytes]:
    """Return messages for another worker's inbox, as few as the size limit allows."""
    messages: list[bytes] = []
    batch: list[Handed] = []
    size = 0
    for leftover in leftovers:
        if size + len(leftover.data) > _MAX_HANDED_BYTES:
            messages.append(msgspec.msgpack.encode(batch))
            batch, size = [], 0
        batch.append(Handed(leftover.data, leftover.source, leftover.local, leftover.arrival))
        size += len(leftover.data)
    return [*messages, msgspec.msgpack.encode(batch)] if batch else messages


def decode_handed(message: bytes) -> list[Handed]:
    """Return the datagrams of a message; raises ValueError for anything else."""
    return msgspec.msgpack.decode(message, type=list[Handed])
