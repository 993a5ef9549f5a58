"""What goes out when: the budget of a peer's pacer and of its repairs, as policy values.

A pacer somewhat faster than the estimate spreads a keyframe's burst over the link's own time, so that what would wait
in the router's short queue (and be lost there) waits here instead, where audio overtakes it.
"""

_FACTOR = 1.15  # more would fill the router's queue with each keyframe, and look like overuse
_START_FACTOR = 2.5  # a newcomer's first keyframes; as libwebrtc paces
_MIN_RATE = 100_000.0
_REPAIR_SHARE = 0.25
_MIN_REPAIR_RATE = 50_000.0
_REPAIR_BURST_NS = 500_000_000
_SECOND = 1_000_000_000


def pacing_rate(estimate: float, *, is_starting: bool = False) -> int:
    """Return the budget (bits/s) of a peer whose link is estimated to carry `estimate` bits/s."""
    return int(max(estimate * (_START_FACTOR if is_starting else _FACTOR), _MIN_RATE))


class RepairBudget:
    """Bounds retransmissions: a quarter of the estimate, half a second of it at once.

    A receiver that asks for everything again (a storm after an outage) would otherwise keep its own link full.
    """

    def __init__(self) -> None:
        self._allowance: float | None = None  # bytes
        self._at = 0

    def admit(self, packets: int, size: int, estimate: float, now: int) -> int:
        """Return how many of `packets` packets of about `size` bytes may be sent again now, and charge them."""
        rate = max(estimate * _REPAIR_SHARE, _MIN_REPAIR_RATE) / 8
        limit = max(rate * _REPAIR_BURST_NS / _SECOND, float(size))
        allowance = limit if self._allowance is None else self._allowance + rate * (now - self._at) / _SECOND
        allowance = min(allowance, limit)
        admitted = min(packets, int(allowance // max(size, 1)))
        self._allowance = allowance - admitted * size
        self._at = now
        return admitted
