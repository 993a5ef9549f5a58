"""Short dips of a link are sat out: what is carried goes on though the estimate is somewhat below what it costs.

To leave a layer for one that costs a third, and to come back, takes two keyframes and seconds; a queue that grows for a
moment is heard and seen less. So a dip may last a while and be so deep, as long as the queue stays short.
"""

_DEPTH = 1.35  # what is carried costs at most so much more than the link is thought to carry
_LONGEST_NS = 1_500_000_000
_QUEUE_NS = 200_000_000


class Dips:
    """One per subscriber."""

    def __init__(self) -> None:
        self._since: int | None = None

    def sit_out(self, rate: float, carried: float, queueing: int, now: int) -> float:
        """Return the bits/s to grant within: `rate`, or what is `carried` now; packets wait for `queueing` ns."""
        if carried <= rate:
            self._since = None
            return rate
        if self._since is None:
            self._since = now
        if carried > rate * _DEPTH or queueing >= _QUEUE_NS or now - self._since >= _LONGEST_NS:
            return rate
        return carried
