"""The rate towards peers without transport-wide feedback: from REMB if they send it, and from receiver reports.

Losses are judged as in draft-ietf-rmcat-gcc-02, section 6: below 2 % the rate grows by 8 % a second, above 10 % it
falls by half of the loss, at most once per round trip and 300 ms. One departure: a rate that grows without being used
proves nothing, and layers come in steps. So a rate that proved too high is not approached again for a while, longer
each time.
"""

from collections import deque

_LOW, _HIGH = 0.02, 0.10
_GROWTH = 1.08
_GROWTH_BITS = 1_000.0
_SECOND = 1_000_000_000
_DECREASE_NS = 300_000_000
_REPORTED_FOR_NS = 5_000_000_000
_ONE_FALL_NS = 5_000_000_000  # decreases this close to each other have one cause
_BELOW = 0.7  # of the rate that was too high
_FIRST_HOLD_NS, _LONGEST_HOLD_NS = 15_000_000_000, 120_000_000_000
_REMEMBERED_NS = 60_000_000_000  # after a hold: a later excess has another cause


class ReceiverReportedRate:
    """The rate in bits/s. It grows with reports only, and never beyond the receiver's own estimate."""

    def __init__(self, start: float, minimum: float, maximum: float) -> None:
        self.rate = start
        self.loss = 0.0
        self._minimum = minimum
        self._maximum = maximum
        self._estimate: float | None = None
        self._estimated_at = 0
        self._decreased_at: int | None = None
        self._too_much = 0.0
        self._held_from = self._held_until = 0
        self._recent: deque[tuple[int, float]] = deque()

    def receiver_estimate(self, rate: float, now: int) -> None:
        """Take a REMB. It is the limit while such messages arrive; the rate rises at once if it was below."""
        self._estimate = rate
        self._estimated_at = now
        self._set(rate if self.loss < _LOW else min(self.rate, rate))

    def report(self, fraction_lost: float, round_trip: int, now: int) -> None:
        """Take the share of packets lost (0..1) since the last report, over all streams."""
        self.loss = fraction_lost
        while self._recent and now - self._recent[0][0] > _SECOND:
            self._recent.popleft()
        if fraction_lost <= _LOW:
            lowest = min((rate for _, rate in self._recent), default=self.rate)
            grown = lowest * _GROWTH + _GROWTH_BITS
            if now < self._held_until:
                grown = min(grown, self._too_much * _BELOW)
            self._set(max(self.rate, grown), now)
        elif fraction_lost > _HIGH:
            wait = _DECREASE_NS + round_trip
            if self._decreased_at is None or now - self._decreased_at >= wait:
                self._hold(now)
                self._decreased_at = now
                self._set(self.rate * (1 - fraction_lost / 2), now)
        self._recent.append((now, self.rate))

    def _hold(self, now: int) -> None:
        """Remember, at the first of several decreases, the rate that was too high."""
        if self._decreased_at is not None and now - self._decreased_at < _ONE_FALL_NS:
            return
        hold = self._held_until - self._held_from
        is_again = hold > 0 and now - self._held_until < _REMEMBERED_NS
        self._too_much = self.rate
        self._held_from = now
        self._held_until = now + (min(2 * hold, _LONGEST_HOLD_NS) if is_again else _FIRST_HOLD_NS)

    def _set(self, rate: float, now: int | None = None) -> None:
        if self._estimate is not None and (now is None or now - self._estimated_at < _REPORTED_FOR_NS):
            rate = min(rate, self._estimate)
        self.rate = min(max(rate, self._minimum), self._maximum)
