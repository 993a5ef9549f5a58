"""Pacing: policy for the budgets of a peer's pacer and of its retransmissions.

A pacer that is somewhat faster than the estimate spreads the burst of a keyframe, so that packets wait here, where
audio overtakes them, and not in the router's short queue, where they may be lost. But the estimate is never far above
what is sent, and most links carry many times as much. Pictures are bursts: the extra time that the last packet of a
burst takes over the first shows the rate of the link, and the pacer need not be much slower.
"""

from sfu.machines.congestion.feedback_analyser import FeedbackSummary

_FACTOR = 1.15  # more would fill the router's queue at each keyframe, and look like overuse
_START_FACTOR = 2.5  # a newcomer's first keyframes; as libwebrtc paces
_MIN_RATE = 100_000.0
_BURST_SHARE = 0.5  # of the rate that bursts show
_MAX_FACTOR = 8.0  # bits/s in any case, since a shaper lets short bursts pass
_MIN_BURST = 3000  # bytes; fewer than three packets show nothing
_MIN_QUEUEING_NS = 1_000_000  # the precision of feedback
_GROWTH = 0.25
_BELIEVED_NS = 10_000_000_000
_REPAIR_SHARE = 0.25
_MIN_REPAIR_RATE = 50_000.0
_REPAIR_BURST_NS = 500_000_000
LEFT_BY_COPIES, LEFT_BY_ADVANCE_COPIES = 0.25, 0.5  # of the burst
HEAVY_LOSS = 0.12  # from it on pictures are sent twice
_MEDIA_SHARE, _LEAST_MEDIA_SHARE = 0.98, 0.6  # of an estimate
_REPAIRED_LOSS = 0.01  # from this loss on, repairs are sent twice
_REPAIR_COST = 1.5  # of the loss, since some second copies are left out
_SECOND = 1_000_000_000


class BurstCapacity:
    """The rate of bursts on the link, in bits/s. It falls when two bursts in a row are slower (one may be late because
    this machine was busy), rises slowly, and is unknown after losses.
    """

    def __init__(self) -> None:
        self._rate = self._newest = 0.0
        self._at = 0

    def observed(self, summary: FeedbackSummary, now: int) -> None:
        """Take what feedback says about the newest bursts."""
        if summary.losses is not None and summary.losses.lost:
            self._rate = 0.0
        elif summary.burst >= _MIN_BURST:
            sample = summary.burst * 8 * _SECOND / max(summary.queueing, _MIN_QUEUEING_NS)
            better = max(sample, self._newest)
            self._rate = min(better, self._rate + _GROWTH * max(sample - self._rate, 0.0))
            self._newest = sample
            self._at = now

    def rate(self, now: int) -> float:
        """Return the rate, 0 while unknown or if the last burst was long ago."""
        return self._rate if now - self._at < _BELIEVED_NS else 0.0


def pacing_rate(estimate: float, burst: float = 0.0, *, is_starting: bool = False) -> int:
    """Return a peer's budget (bits/s), given its link's `estimate` and its `burst` rate (bits/s)."""
    usual = estimate * (_START_FACTOR if is_starting else _FACTOR)
    return int(max(usual, min(burst * _BURST_SHARE, estimate * _MAX_FACTOR), _MIN_RATE))


def media_share(loss: float) -> float:
    """Return the part of an estimate for media when a share `loss` of the packets is lost; the rest is for repairs."""
    if loss < _REPAIRED_LOSS:
        return _MEDIA_SHARE
    return _LEAST_MEDIA_SHARE if loss >= HEAVY_LOSS else _MEDIA_SHARE - _REPAIR_COST * loss


class RetransmissionBudget:
    """Bounds retransmissions to a quarter of the estimate, or the part that media leaves, in bursts of half a second.

    A receiver that requests everything again (a storm after an outage) would otherwise keep its own link full.
    """

    def __init__(self) -> None:
        self._allowance: float | None = None  # bytes
        self._at = 0

    def admit(
        self, packets: int, size: int, estimate: float, now: int, *, loss: float = 0.0, leave: float = 0.0
    ) -> int:
        """Return how many of `packets` packets of about `size` bytes may be sent again now, and charge them.

        `loss` is the share of packets that the link itself loses. Copies `leave` a part of the burst for first
        retransmissions.
        """
        share = max(_REPAIR_SHARE, 1.0 - media_share(loss))
        rate = max(estimate * share, _MIN_REPAIR_RATE) / 8
        limit = max(rate * _REPAIR_BURST_NS / _SECOND, float(size))
        allowance = limit if self._allowance is None else self._allowance + rate * (now - self._at) / _SECOND
        allowance = min(allowance, limit)
        usable = max(allowance - limit * leave, 0.0)
        admitted = min(packets, int(usable // max(size, 1)))
        self._allowance = allowance - admitted * size
        self._at = now
        return admitted
