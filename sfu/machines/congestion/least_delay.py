"""Least one-way delay of the last minute: what a packet takes if none wait before it.

The clocks of both ends differ, so a delay means something only beside another.
"""

from collections import deque

BUCKET_NS, BUCKETS = 10_000_000_000, 6


class LeastDelay:
    """The least delay, in ns, of the bucket of time that has begun and of those before it."""

    def __init__(self) -> None:
        self._minima: deque[tuple[int, int]] = deque(maxlen=BUCKETS)  # (bucket, least delay)

    @property
    def least(self) -> int | None:
        """The least delay; None if none is known."""
        return min((delay for _, delay in self._minima), default=None)

    def excess(self, delay: int, now: int, *, holds: bool = False) -> int:
        """Take a delay; return its excess over the least one. While it `holds`, nothing is forgotten."""
        bucket = now // BUCKET_NS
        if self._minima and (holds or self._minima[-1][0] == bucket):
            bucket, least = self._minima[-1]
            self._minima[-1] = (bucket, min(delay, least))
        else:
            self._minima.append((bucket, delay))
        return delay - min(least for _, least in self._minima)

    def forget(self) -> None:
        """Forget all delays, since they say nothing about those to come."""
        self._minima.clear()
