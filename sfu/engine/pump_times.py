"""Duration of the pump's turns, including the kernel's work, in total and as a histogram.

It is elapsed time: a turn does not wait for anything, and asking the kernel for a thread's CPU time takes longer than
many turns.
"""

from bisect import bisect_left
from itertools import accumulate

BOUNDS_NS = (50_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)


class PumpTimes:
    """A histogram of turns that did something: their `total` in ns, and their number, `turns`."""

    def __init__(self) -> None:
        self.total = 0
        self.turns = 0
        self._counts = [0] * (len(BOUNDS_NS) + 1)

    def add(self, spent: int) -> None:
        """Take a turn of `spent` ns."""
        self.total += spent
        self.turns += 1
        self._counts[bisect_left(BOUNDS_NS, spent)] += 1

    def cumulative(self) -> list[tuple[int | None, int]]:
        """Return pairs (bound in ns, turns no longer than it); the last bound is None, for infinity."""
        return list(zip((*BOUNDS_NS, None), accumulate(self._counts), strict=True))
