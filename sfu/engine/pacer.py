"""A peer's budget, and the bounded queue of packets that exceed it: repairs first, then media. Audio never waits."""

from collections import deque
from typing import NamedTuple

from sfu.engine.packet import Packet
from sfu.engine.route import CATCH_UP_PACKETS, Route, RoutedStream
from sfu.engine.sequence_map import Segment

BURST = 20_000_000
"""The most that a peer may be ahead of its budget, in nanoseconds: enough to send a usual frame as one run."""
QUANTUM = 5_000_000
"""The budget, in nanoseconds, that accumulates before waiting packets are released, so that they form a run."""
LATE = 50_000_000
"""The budget, in nanoseconds, that is made up for if waiting packets are released late: a busy machine releases them
only every few tens of milliseconds. Otherwise it would send a fraction of what it may, and the queue would never empty.
"""
QUEUE_PACKETS = 1024
CATCH_UP = 1_000_000_000
"""The budget, in nanoseconds, for the past packets with which a route begins."""
CATCH_UP_BYTES = 500_000
"""The same in bytes, for a peer without a budget."""


class Numbered(NamedTuple):
    """A packet numbered by its route and ready to send; it is stamped and protected when it is sent."""

    route: Route
    segment: Segment[RoutedStream]
    packet: Packet
    out_seq: int
    is_repair: bool = False


class Pacer:
    """With `bits_per_second` 0, everything may go: the budget was lifted while packets waited."""

    def __init__(self, bits_per_second: int) -> None:
        self.bits_per_second = bits_per_second
        self._clear_at = 0
        self._repairs: deque[Numbered] = deque()
        self._media: deque[Numbered] = deque()

    @property
    def is_empty(self) -> bool:
        return not self._repairs and not self._media

    @property
    def next_release(self) -> int:
        """The time at which waiting packets are to be released; in the past if they are already due."""
        return self._clear_at - BURST + QUANTUM if self.bits_per_second else 0

    def is_open(self, now: int) -> bool:
        """Return True if the budget allows a packet."""
        return not self.bits_per_second or self._clear_at - BURST <= now

    def admits(self, now: int, is_repair: bool) -> bool:
        """Return True if a packet may bypass the queue."""
        waits = self._repairs if is_repair else (self._repairs or self._media)
        return not waits and self.is_open(now)

    def fits(self, now: int, size: int) -> bool:
        """Return True if the last of packets of `size` bytes in all would still be admitted now."""
        if not self.bits_per_second:
            return True
        return max(self._clear_at, now) + size * 8_000_000_000 // self.bits_per_second - BURST <= now

    def charge(self, now: int, size: int) -> None:
        """Charge `size` sent bytes."""
        if self.bits_per_second:
            since = now if self.is_empty else now - LATE
            self._clear_at = max(self._clear_at, since) + size * 8_000_000_000 // self.bits_per_second

    def room(self) -> int:
        """Return the number of bytes of past packets with which a route may begin."""
        if len(self._repairs) + len(self._media) >= QUEUE_PACKETS - CATCH_UP_PACKETS:
            return -1
        return self.bits_per_second * CATCH_UP // 8_000_000_000 if self.bits_per_second else CATCH_UP_BYTES

    @property
    def is_full(self) -> bool:
        return len(self._repairs) + len(self._media) >= QUEUE_PACKETS

    def push(self, entry: Numbered) -> bool:
        """Queue a packet; return False if the queue is full."""
        if self.is_full:
            return False
        (self._repairs if entry.is_repair else self._media).append(entry)
        return True

    def remove(self, route: Route) -> int:
        """Remove a route's waiting packets; return their number."""
        before = len(self._repairs) + len(self._media)
        self._repairs = deque(entry for entry in self._repairs if entry.route is not route)
        self._media = deque(entry for entry in self._media if entry.route is not route)
        return before - len(self._repairs) - len(self._media)

    def pop(self) -> Numbered:
        return (self._repairs or self._media).popleft()
