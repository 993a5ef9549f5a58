"""Detection that the application, not the network, limits the sending rate (libwebrtc's AlrDetector).

A budget fills at 65 % of the estimate and sent packets use it; nearly full means application limited.
"""

_SHARE = 0.65
_WINDOW_NS = 500_000_000
_START, _STOP = 0.8, 0.5
_SECOND = 1_000_000_000


class ApplicationLimit:
    """The detector, fed with sent packets in order. `is_limited` is false until something is known."""

    def __init__(self) -> None:
        self.is_limited = False
        self._budget = 0.0  # bytes
        self._last: int | None = None

    def sent(self, size: int, estimate: float, now: int) -> None:
        """Take `size` bytes sent while the estimate was `estimate` bits/s."""
        rate = estimate * _SHARE / 8
        limit = rate * _WINDOW_NS / _SECOND
        if self._last is not None:
            self._budget += rate * (now - self._last) / _SECOND
        self._last = now
        self._budget = min(max(self._budget - size, -limit), limit)
        share = self._budget / limit if limit else 0.0
        if share > _START:
            self.is_limited = True
        elif share < _STOP:
            self.is_limited = False
