"""Delay-based rate: additive increase, multiplicative decrease (draft-ietf-rmcat-gcc-02, section 5.5; libwebrtc).

The rate at which the link was last full is remembered. Near it the rate grows by about a packet per response time, far
from it by 8 % a second. The rate never exceeds 1.5 times the arriving rate, so silence does not raise it. Only overuse
lowers it, so silence does not lower it either.
"""

from math import sqrt

from sfu.machines.congestion.overuse import Usage

_BETA = 0.85
_LIMITED_STEP = 0.6
_DRAINED_NS = 100_000_000  # a longer queue lowers the rate further, so that the excess drains within a second
_LEAST_SHARE = 0.65
_GROWTH_PER_SECOND = 1.08
_MIN_GROWTH = 1_000.0
_MIN_ADDITIVE = 4_000.0
_HEADROOM = 1.5
_HEADROOM_BITS = 10_000.0
_PACKET_BITS = 1200 * 8
_RESPONSE_NS = 100_000_000
_SECOND = 1_000_000_000
_REDUCTION_NS = (10_000_000, 200_000_000)
_FRAMES_PER_SECOND = 30


class LinkCapacity:
    """The rate at which the link was last full: a smoothed estimate and its spread, in kbit/s like its constants."""

    def __init__(self) -> None:
        self._estimate: float | None = None
        self._deviation = 0.4

    @property
    def is_known(self) -> bool:
        return self._estimate is not None

    @property
    def bits_per_second(self) -> float | None:
        return None if self._estimate is None else self._estimate * 1000

    def overused(self, acknowledged: float) -> None:
        """Note that the link was full while `acknowledged` bits/s arrived."""
        sample = acknowledged / 1000
        if self._estimate is None:
            self._estimate = sample
        else:
            self._estimate += 0.05 * (sample - self._estimate)
        error = self._estimate - sample
        deviation = 0.95 * self._deviation + 0.05 * error * error / max(self._estimate, 1.0)
        self._deviation = min(max(deviation, 0.4), 2.5)

    def reset(self) -> None:
        self._estimate = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Three standard deviations around the estimate, in bits/s."""
        if self._estimate is None:
            return 0.0, float("inf")
        spread = 3 * sqrt(self._deviation * self._estimate)
        return max(0.0, self._estimate - spread) * 1000, (self._estimate + spread) * 1000


class RateControl:
    """`rate` is in bits/s, between `minimum` and `maximum`."""

    def __init__(self, start: float, minimum: float, maximum: float) -> None:
        self.rate = start
        self.capacity = LinkCapacity()
        self.decreased_at: int | None = None
        self._minimum = minimum
        self._maximum = maximum
        self._increasing = False
        self._changed_at: int | None = None

    def set(self, rate: float, now: int) -> None:
        """Take a rate measured by a probe."""
        self.rate = self._clamp(rate)
        self._changed_at = now

    def may_decrease(self, acknowledged: float | None, round_trip: int, now: int) -> bool:
        """Return True if enough time has passed for the last change to show, or far less arrives than assumed."""
        if self._changed_at is None:
            return True
        if now - self._changed_at >= min(max(round_trip, _REDUCTION_NS[0]), _REDUCTION_NS[1]):
            return True
        return acknowledged is not None and acknowledged < self.rate / 2

    def update(
        self,
        usage: Usage,
        acknowledged: float | None,
        round_trip: int,
        now: int,
        *,
        application_limited: bool = False,
        queueing: int = 0,
    ) -> float:
        """Take a verdict, the arriving rate (bits/s) and the queueing delay (ns); return the new rate.

        If the application limits the sending rate, the arriving rate hides the capacity: the rate falls in steps.
        """
        if usage is Usage.OVERUSE:
            share = max(_BETA - max(queueing - _DRAINED_NS, 0) / _SECOND, _LEAST_SHARE)
            self._decrease(acknowledged, share, now, self.rate * _LIMITED_STEP if application_limited else 0.0)
        elif usage is Usage.UNDERUSE:
            self._increasing = False
        elif not self._increasing:
            self._increasing = True
            self._changed_at = now
        else:
            self._increase(acknowledged, round_trip, now)
        return self.rate

    def _decrease(self, acknowledged: float | None, share: float, now: int, least: float) -> None:
        if acknowledged is None:
            self.rate = self._clamp(self.rate / 2)
        else:
            lowered = acknowledged * share
            if lowered > self.rate and self.capacity.bits_per_second is not None:
                lowered = self.capacity.bits_per_second * share
            if acknowledged < self.capacity.bounds[0]:
                self.capacity.reset()
            self.capacity.overused(acknowledged)
            self.rate = self._clamp(max(min(self.rate, lowered), least))
        self._increasing = False
        self._changed_at = self.decreased_at = now

    def _increase(self, acknowledged: float | None, round_trip: int, now: int) -> None:
        elapsed = min(now - self._changed_at, _SECOND) / _SECOND if self._changed_at is not None else 0.0
        self._changed_at = now
        if acknowledged is None:
            return
        if acknowledged > self.capacity.bounds[1]:
            self.capacity.reset()
        limit = _HEADROOM * acknowledged + _HEADROOM_BITS
        if self.rate >= limit:
            return
        if self.capacity.is_known:
            growth = self._near_capacity(round_trip) * elapsed
        else:
            growth = max(self.rate * (_GROWTH_PER_SECOND**elapsed - 1), _MIN_GROWTH)
        self.rate = self._clamp(min(self.rate + growth, limit))

    def _near_capacity(self, round_trip: int) -> float:
        """Return the additive growth per second: about one packet per response time."""
        frame = self.rate / _FRAMES_PER_SECOND
        packets = max(1, -(-frame // _PACKET_BITS))
        return max(_MIN_ADDITIVE, frame / packets * _SECOND / (round_trip + _RESPONSE_NS))

    def _clamp(self, rate: float) -> float:
        return min(max(rate, self._minimum), self._maximum)
