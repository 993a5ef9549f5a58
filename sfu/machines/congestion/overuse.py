"""Detection of a growing queue: the trend of one-way delay against an adaptive threshold.

After libwebrtc's trendline estimator and draft-ietf-rmcat-gcc-02, sections 5.3 and 5.4: a line is fitted to the last 20
smoothed delays. Its scaled slope is compared with a threshold that follows it slowly, so that flows that always fill
queues do not starve this one.
"""

from collections import deque
from enum import Enum

from sfu.machines.congestion.packet_groups import GroupDelta

TREND_POINTS = 20
_SMOOTHING = 0.9
_GAIN = 4.0
_MAX_DELTAS = 60
_OVERUSE_MS = 10.0
_THRESHOLD = 12.5
_THRESHOLD_RANGE = (6.0, 600.0)
_FALL, _RISE = 0.039, 0.0087
_MAX_ADAPT = 15.0
_MAX_STEP_MS = 100.0
_MS = 1_000_000


class Usage(Enum):
    """The state of the link, judged by its delays."""

    NORMAL = "normal"
    OVERUSE = "overuse"
    UNDERUSE = "underuse"


class OveruseDetector:
    """The detector, fed with the deltas between groups; `usage` is the verdict."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self._points: deque[tuple[float, float]] = deque(maxlen=TREND_POINTS)
        self._first_arrival: int | None = None
        self._accumulated = 0.0
        self._smoothed = 0.0
        self._deltas = 0
        self._threshold = _THRESHOLD
        self._adapted_at: int | None = None
        self._trend = 0.0
        self._over_using: float | None = None
        self._over_count = 0

    def update(self, delta: GroupDelta, arrival: int) -> Usage:
        """Take a delta whose later group arrived at `arrival` (any clock, ns)."""
        self._deltas = min(self._deltas + 1, _MAX_DELTAS)
        if self._first_arrival is None:
            self._first_arrival = arrival
        self._accumulated += (delta.arrival - delta.sending) / _MS
        self._smoothed = _SMOOTHING * self._smoothed + (1 - _SMOOTHING) * self._accumulated
        self._points.append(((arrival - self._first_arrival) / _MS, self._smoothed))
        trend = self._trend
        if len(self._points) == TREND_POINTS:
            trend = _slope(self._points)
        self._judge(trend, delta.sending / _MS, arrival)
        return self.usage

    def _judge(self, trend: float, sending_ms: float, arrival: int) -> None:
        if self._deltas < 2:
            self.usage = Usage.NORMAL
            return
        modified = self._deltas * trend * _GAIN
        if modified > self._threshold:
            self._over_using = sending_ms / 2 if self._over_using is None else self._over_using + sending_ms
            self._over_count += 1
            if self._over_using > _OVERUSE_MS and self._over_count > 1 and trend >= self._trend:
                self._over_using = 0.0
                self._over_count = 0
                self.usage = Usage.OVERUSE
        else:
            self._over_using = None
            self._over_count = 0
            self.usage = Usage.UNDERUSE if modified < -self._threshold else Usage.NORMAL
        self._trend = trend
        self._adapt(modified, arrival)

    def _adapt(self, modified: float, arrival: int) -> None:
        if self._adapted_at is None:
            self._adapted_at = arrival
        if abs(modified) <= self._threshold + _MAX_ADAPT:
            gain = _FALL if abs(modified) < self._threshold else _RISE
            elapsed = min((arrival - self._adapted_at) / _MS, _MAX_STEP_MS)
            self._threshold += gain * (abs(modified) - self._threshold) * elapsed
            self._threshold = min(max(self._threshold, _THRESHOLD_RANGE[0]), _THRESHOLD_RANGE[1])
        self._adapted_at = arrival


def _slope(points: deque[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through the points."""
    origin = points[0][0]
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    for at, y in points:  # one by one, as the compiled engine adds: sum() is more exact
        x = at - origin
        sum_x += x
        sum_y += y
        sum_xx += x * x
        sum_xy += x * y
    denominator = len(points) * sum_xx - sum_x * sum_x
    return (len(points) * sum_xy - sum_x * sum_y) / denominator if denominator else 0.0
