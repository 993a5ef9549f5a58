"""A peer's budget, and the bounded queue of what exceeds it: repairs first, then media. Audio never waits."""

from collections import deque
from typing import NamedTuple

from sfu.engine.packet import Packet
from sfu.engine.route import CATCH_UP_PACKETS, Route, RoutedStream
from sfu.engine.sequence_map import Segment

BURST = 20_000_000
"""The most that a peer may be ahead of the budget, in nanoseconds: enough for a usual frame to go as one run."""
QUANTUM = 5_000_000
"""The budget, in nanoseconds, that gathers before waiting packets are released, so that they go as a run."""
LATE = 50_000_000
"""The budget, in nanoseconds, that is made up for when waiting packets are released late: a busy machine gets to it
only every few tens of milliseconds. Without this it would send a fraction of what it may, and the queue would never
empty.
"""
QUEUE_PACKETS = 1024
CATCH_UP = 1_000_000_000
"""The budget, in nanoseconds, that packets of the past may take with which a route begins."""
CATCH_UP_BYTES = 500_000
"""The same where there is no budget."""


class Numbered(NamedTuple):
    """A packet under a route's number, ready to go; stamps and protection come when it does."""

    route: Route
    segment: Segment[RoutedStream]
    packet: Packet
    out_seq: int
    is_repair: bool = False


class Pacer:
    """`bits_per_second` 0 lets everything go: a budget was lifted while packets waited."""

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
        """The time at which waiting packets are to be released; in the past if they are due already."""
        return self._clear_at - BURST + QUANTUM if self.bits_per_second else 0

    def is_open(self, now: int) -> bool:
        """Return True if the budget lets a packet go."""
        return not self.bits_per_second or self._clear_at - BURST <= now

    def admits(self, now: int, is_repair: bool) -> bool:
        """Return True if a packet may go past the queue."""
        waits = self._repairs if is_repair else (self._repairs or self._media)
        return not waits and self.is_open(now)

    def fits(self, now: int, size: int) -> bool:
        """Return True if the last of packets of `size` bytes in all would still be admitted now."""
        if not self.bits_per_second:
            return True
        return max(self._clear_at, now) + size * 8_000_000_000 // self.bits_per_second - BURST <= now

    def charge(self, now: int, size: int) -> None:
        """Account for `size` bytes that went out."""
        if self.bits_per_second:
            since = now if self.is_empty else now - LATE
            self._clear_at = max(self._clear_at, since) + size * 8_000_000_000 // self.bits_per_second

    def room(self) -> int:
        """Return how many bytes of the past a route may begin with."""
        if len(self._repairs) + len(self._media) >= QUEUE_PACKETS - CATCH_UP_PACKETS:
            return -1
        return self.bits_per_second * CATCH_UP // 8_000_000_000 if self.bits_per_second else CATCH_UP_BYTES

    def push(self, entry: Numbered) -> bool:
        """Queue a packet; False when the queue is full."""
        if len(self._repairs) + len(self._media) >= QUEUE_PACKETS:
            return False
        (self._repairs if entry.is_repair else self._media).append(entry)
        return True

    def remove(self, route: Route) -> int:
        """Take out what waits of a route; return how many packets that were."""
        before = len(self._repairs) + len(self._media)
        self._repairs = deque(entry for entry in self._repairs if entry.route is not route)
        self._media = deque(entry for entry in self._media if entry.route is not route)
        return before - len(self._repairs) - len(self._media)

    def pop(self) -> Numbered:
        return (self._repairs or self._media).popleft()
