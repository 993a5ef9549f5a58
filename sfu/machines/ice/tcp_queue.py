"""The queue of one TCP connection, framed (RFC 4571), which behaves as much like a datagram link as TCP allows.

A slow reader loses media rather than getting it late: packets older than STALE_NS are dropped. When the queue is full,
media is dropped until half of it is free, so that losses come in runs and affect few frames. STUN and DTLS are accepted
up to twice the bound.
"""

from collections import deque
from enum import Enum
from typing import NamedTuple

from sfu.formats.tcp_framing import frame

MAX_BYTES = 128 * 1024
STALE_NS = 400_000_000

_FIRST_RTP_BYTE = 128  # RFC 7983


class TcpDrop(Enum):
    """The reason why a datagram was not sent; the values are names of counters."""

    FULL = "tcp_dropped_queue_full"
    STALE = "tcp_dropped_stale"
    TOO_LONG = "tcp_dropped_too_long"


class _Entry(NamedTuple):
    data: bytes
    queued: int
    is_media: bool


class TcpQueue:
    """The queue: takes datagrams, and returns bytes for `send`; the caller reports how many were sent."""

    def __init__(self) -> None:
        self.drops: dict[TcpDrop, int] = {}
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._begun = 0
        self._dropping = False

    @property
    def is_empty(self) -> bool:
        return not self._entries

    def put(self, datagram: bytes, now: int) -> None:
        """Queue a datagram, or drop it for a counted reason."""
        is_media = datagram[:1] >= bytes([_FIRST_RTP_BYTE])
        if is_media:
            self._dropping = self._bytes > (MAX_BYTES // 2 if self._dropping else MAX_BYTES)
        if self._dropping if is_media else self._bytes > 2 * MAX_BYTES:
            self._count(TcpDrop.FULL)
            return
        try:
            data = frame(datagram)
        except ValueError:
            self._count(TcpDrop.TOO_LONG)
            return
        self._entries.append(_Entry(data, now, is_media))
        self._bytes += len(data)

    def pending(self, now: int, limit: int = 65_536) -> bytes:
        """Return the next bytes to send, about `limit` of them; a frame that was begun is always completed."""
        self._drop_stale(now)
        parts = []
        size = 0
        for entry in self._entries:
            if size >= limit:
                break
            parts.append(entry.data)
            size += len(entry.data)
        return b"".join(parts)[self._begun :]

    def sent(self, count: int) -> None:
        """Note how many of the pending bytes were sent."""
        count += self._begun
        while self._entries and count >= len(self._entries[0].data):
            data = self._entries.popleft().data
            count -= len(data)
            self._bytes -= len(data)
        self._begun = count

    def _drop_stale(self, now: int) -> None:
        first = [self._entries.popleft()] if self._begun else []
        while self._entries and self._entries[0].is_media and now - self._entries[0].queued > STALE_NS:
            self._bytes -= len(self._entries.popleft().data)
            self._count(TcpDrop.STALE)
        self._entries.extendleft(first)

    def _count(self, reason: TcpDrop) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
