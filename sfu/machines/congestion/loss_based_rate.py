"""Loss-based rate, after libwebrtc's second version: the bandwidth that best explains the observed losses.

A link loses packets at random (`inherent` loss) and those beyond its bandwidth. For a few candidate bandwidths the
inherent loss that makes the observed windows likeliest is found by Newton's method; the candidate with the likeliest
outcome, with a slight bias for higher ones, wins. So a lossy but wide link is not mistaken for a full one. Beyond 5 %
of loss an instant limit applies, since neither media nor other traffic on the link works well with more.
"""

from collections import deque
from math import inf, log

from sfu.machines.congestion.loss_windows import LossWindow

_WINDOWS = 20
_AGEING = 0.9
_CANDIDATES = (1.02, 1.0, 0.95)
_BACK_OFF = 0.85
_BIAS, _LOG_BIAS = 0.0002, 0.02
_INHERENT_RANGE = (1e-3, 1.0)
# Both balances are a third above libwebrtc's: copies and repairs make such losses bearable.
_INHERENT_OFFSET, _INHERENT_BALANCE = 0.05, 100_000.0
_LOSS_OFFSET, _LOSS_BALANCE = 0.05, 100_000.0
_NEWTON_STEPS, _NEWTON_SIZE = 2, 0.75
_RECOVERY_NS = 300_000_000
_RECOVERY_FACTOR = 1.3
_EXPLAINED = 0.5  # of the losses; if fewer are inherent, the rate was too high
_GROWTH_PER_SECOND = 1.08
_CAREFUL_GROWTH_PER_SECOND, _CAREFUL_NS = 1.02, 10_000_000_000
_FAR = 2.0  # times the rate
_MIN_PROBABILITY = 1e-6
_SECOND = 1_000_000_000


class LossBasedRate:
    """The rate in bits/s; it is None, and limits nothing, until something is known."""

    def __init__(self, minimum: float) -> None:
        self.rate: float | None = None
        self.loss = 0.0
        self._minimum = minimum
        self._inherent = 0.01
        self._windows: deque[LossWindow] = deque(maxlen=_WINDOWS)
        self._is_clear = True
        self._lowered_at: int | None = None
        self._lowered_to = 0.0
        self._is_full = False
        self._carried = 0.0
        self._updated_at = 0

    def update(self, window: LossWindow | None, acknowledged: float | None, delay_based: float, now: int) -> None:
        """Take a completed window, the arriving rate and the rate that delays allow (bits/s)."""
        if window is None:
            return
        self._windows.append(window)
        self._is_clear = not any(seen.lost for seen in self._windows)
        self.loss = 0.0 if self._is_clear else self._average_loss()
        if self.rate is None or self.rate > delay_based:
            self.rate = delay_based
        before = self.rate
        best, inherent = self._best(before, acknowledged, delay_based)
        self._inherent = inherent
        best = min(best, self._instant_limit(before))
        if best > before and self._lowered_at is not None and now - self._lowered_at < _RECOVERY_NS:
            best = max(before, min(best, self._lowered_to * _RECOVERY_FACTOR))
        self._carried = max(self._carried, (acknowledged or 0.0) * _BACK_OFF)
        if best < before * 0.999:
            self._lowered_at = now
            self._lowered_to = best
            if inherent < _EXPLAINED * self.loss:
                self._is_full = True
                self._carried = (acknowledged or 0.0) * _BACK_OFF
        elif self._is_full:
            elapsed = min(now - self._updated_at, _SECOND) / _SECOND
            best = min(best, max(before * self._growth(before, now) ** elapsed, self._carried))
            self._is_full = best < delay_based
        self._updated_at = now
        self.rate = max(self._minimum, best)

    def _growth(self, rate: float, now: int) -> float:
        """Return the growth per second on a link that was full: little at first, beyond what it is known to carry. One
        that loses much itself carries more than arrived.
        """
        is_recent = self._lowered_at is not None and now - self._lowered_at < _CAREFUL_NS
        is_known = rate >= self._carried and self._inherent < _INHERENT_OFFSET
        return _CAREFUL_GROWTH_PER_SECOND if is_recent and is_known else _GROWTH_PER_SECOND

    @property
    def limits(self) -> bool:
        """True if losses were the reason for a recent decrease."""
        return self._lowered_at is not None and self.loss > self._inherent_limit(self.rate or 1.0)

    def drained(self) -> None:
        """Note that hardly anything has been sent for a while, so losses of a full link are over."""
        self._windows.clear()
        self.loss = 0.0

    def set(self, rate: float) -> None:
        """Note that a probe succeeded at `rate`."""
        if self.rate is not None and rate > self.rate:
            self.rate = rate

    def _weighted(self) -> list[tuple[float, LossWindow]]:
        newest = len(self._windows) - 1
        return [(_AGEING ** (newest - index), window) for index, window in enumerate(self._windows)]

    def _average_loss(self, rate: float = inf) -> float:
        """Return the share that was lost, without what was sent beyond `rate`, which explains losses."""
        weighted = self._weighted()
        packets = sum(weight * window.packets for weight, window in weighted)
        lost = sum(
            weight * max(window.lost - window.packets * _excess(window.rate, rate), 0.0) for weight, window in weighted
        )
        return lost / packets if packets else 0.0

    def _instant_limit(self, rate: float) -> float:
        """Return the rate beyond which too much is lost, now that `rate` is sent. A start that was too fast for a link
        says nothing about that.
        """
        if self._is_clear:
            return inf
        excess = self._average_loss(rate * _FAR) - _LOSS_OFFSET
        return _LOSS_BALANCE / excess if excess > 0 else inf

    def _best(self, current: float, acknowledged: float | None, delay_based: float) -> tuple[float, float]:
        candidates = {min(delay_based, current * factor) for factor in _CANDIDATES}
        candidates.add(delay_based)
        if acknowledged is not None:
            candidates.add(min(delay_based, acknowledged * _BACK_OFF))
        if self._is_clear:
            # Without losses the search would find the highest candidate and no inherent loss.
            return max(candidates), _INHERENT_RANGE[0]
        best, best_inherent, best_objective = current, self._inherent, -inf
        for bandwidth in sorted(candidates):
            if bandwidth < self._minimum:
                continue
            inherent = self._fit(bandwidth)
            objective = self._objective(bandwidth, inherent)
            if objective > best_objective:
                best, best_inherent, best_objective = bandwidth, inherent, objective
        return best, best_inherent

    def _inherent_limit(self, bandwidth: float) -> float:
        return min(_INHERENT_OFFSET + _INHERENT_BALANCE / max(bandwidth, 1.0), _INHERENT_RANGE[1])

    def _fit(self, bandwidth: float) -> float:
        """Return the inherent loss that makes the windows likeliest, given a bandwidth."""
        limit = self._inherent_limit(bandwidth)
        inherent = min(max(self._inherent, _INHERENT_RANGE[0]), limit)
        for _ in range(_NEWTON_STEPS):
            first = second = 0.0
            for weight, window in self._weighted():
                probability = _loss_probability(inherent, bandwidth, window.rate)
                received = window.packets - window.lost
                first += weight * (window.lost / probability - received / (1 - probability))
                second -= weight * (window.lost / probability**2 + received / (1 - probability) ** 2)
            if second < 0:
                inherent -= _NEWTON_SIZE * first / second
            inherent = min(max(inherent, _INHERENT_RANGE[0]), limit)
        return inherent

    def _objective(self, bandwidth: float, inherent: float) -> float:
        kilobits = bandwidth / 1000
        bias = _BIAS * kilobits + _LOG_BIAS * log(1 + kilobits)
        total = 0.0
        for weight, window in self._weighted():
            probability = _loss_probability(inherent, bandwidth, window.rate)
            total += weight * window.lost * log(probability)
            total += weight * (window.packets - window.lost) * log(1 - probability)
            total += weight * bias * window.packets
        return total


def _excess(rate: float, bandwidth: float) -> float:
    """Return the share of what is sent at `rate` that exceeds the bandwidth."""
    return (rate - bandwidth) / rate if rate > bandwidth else 0.0


def _loss_probability(inherent: float, bandwidth: float, rate: float) -> float:
    probability = inherent + (1 - inherent) * _excess(rate, bandwidth)
    return min(max(probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
