"""The budget for repairs of a node, for all of its peers together.

Repairing the losses of a link is part of a node's work. Where all links lose at once, the node itself is overloaded,
and each request adds to that: sent to 64 publishers, answered to 64 subscribers. A peer gets at most an eighth of the
remaining budget, so that its losses leave enough for others.
"""

_SHARE = 8
_KEYFRAMES_A_SECOND = 100.0
_KEYFRAMES_AT_ONCE = 64.0


class SharedBucket:
    """`rate` tokens a second, at most `burst`; starts full. Times are ns."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = 0

    def share(self, now: int) -> int:
        """Return how many tokens one may take now."""
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate / 1e9)
            self._updated = now
        return -(-int(self._tokens) // _SHARE)

    def take(self, tokens: int) -> None:
        """Take tokens that are known to be there."""
        self._tokens -= tokens

    def grant(self, wanted: int, now: int) -> int:
        """Take as many of the wanted tokens as one peer may have."""
        granted = min(wanted, self.share(now))
        self.take(granted)
        return granted


class RepairBudget:
    """One per node: packets asked of publishers, requests answered, keyframes for what we lost ourselves."""

    def __init__(self) -> None:
        self.nacks = SharedBucket(rate=4_000, burst=4_000)
        self.answers = SharedBucket(rate=20_000, burst=20_000)
        self.keyframes = SharedBucket(rate=_KEYFRAMES_A_SECOND, burst=_KEYFRAMES_AT_ONCE)
