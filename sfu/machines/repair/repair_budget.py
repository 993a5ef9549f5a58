"""The budget for repairs of a node, for all of its peers together.

Repairing the losses of a link is part of a node's work. But if all links lose packets at once, the node itself is
overloaded, and repairs add to that. A peer gets at most an eighth of the remaining budget, so that its losses leave
enough for others.
"""

_SHARE = 8
_KEYFRAMES_A_SECOND = 100.0
_KEYFRAMES_AT_ONCE = 64.0


class SharedBucket:
    """A token bucket: `rate` tokens a second, at most `burst`; it starts full. Times are in ns."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = 0

    def share(self, now: int) -> int:
        """Return the number of available tokens."""
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate / 1e9)
            self._updated = now
        return -(-int(self._tokens) // _SHARE)

    def take(self, tokens: int) -> None:
        """Take tokens that are known to be available."""
        self._tokens -= tokens

    def grant(self, wanted: int, now: int) -> int:
        """Take as many of the wanted tokens as one peer may have; return their number."""
        granted = min(wanted, self.share(now))
        self.take(granted)
        return granted


class RepairBudget:
    """The budgets of one node: packets requested from publishers, answers to requests, keyframes for our own losses."""

    def __init__(self) -> None:
        self.nacks = SharedBucket(rate=4_000, burst=4_000)
        self.answers = SharedBucket(rate=20_000, burst=20_000)
        self.keyframes = SharedBucket(rate=_KEYFRAMES_A_SECOND, burst=_KEYFRAMES_AT_ONCE)
