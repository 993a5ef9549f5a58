"""Short dips of a link are sat out: what is carried goes on though the estimate is somewhat below what it costs.

To leave a layer for one that costs a third, and to come back, takes two keyframes and seconds; a queue that grows for a
moment is heard and seen less. So a dip may be so deep and last a while, as long as the queue stays short; and where the
only picture would be paused, for ever: an estimate is hardly exact enough to show nothing for its sake.
"""

_DEPTH = 1.6  # what is carried costs at most so much more than the link is thought to carry
_LONGEST_NS = 2_500_000_000
_QUEUE_NS = 200_000_000


class Dips:
    """One per subscriber."""

    def __init__(self) -> None:
        self._since: int | None = None

    def sit_out(self, rate: float, carried: float, queueing: int, now: int, *, is_last: bool = False) -> float:
        """Return the bits/s to grant within: `rate`, or what is `carried` now; packets wait for `queueing` ns.

        `is_last`: a single picture is carried, at its least.
        """
        if carried <= rate:
            self._since = None
            return rate
        if self._since is None:
            self._since = now
        lasts = now - self._since >= _LONGEST_NS and not is_last
        return rate if lasts or carried > rate * _DEPTH or queueing >= _QUEUE_NS else carried
