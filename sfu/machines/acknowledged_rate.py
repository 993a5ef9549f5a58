"""The rate at which packets arrive at the receiver, from feedback (libwebrtc's BitrateEstimator).

Windows of arrivals are samples of a Bayesian estimate: one far from it counts for less.
"""

_FIRST_WINDOW = 500_000_000
_WINDOW = 150_000_000
_UNCERTAINTY = 10.0
_UNCERTAINTY_APPLICATION_LIMITED = 20.0
_FIRST_VARIANCE = 50.0
_GROWTH = 5.0
_FAST_CHANGE = 200.0


class AcknowledgedRate:
    """Fed arrivals in order; `bits_per_second` is None before the first window is full."""

    def __init__(self) -> None:
        self._estimate: float | None = None  # kbit/s, as the constants are
        self._variance = _FIRST_VARIANCE
        self._bytes = 0
        self._elapsed = 0
        self._last: int | None = None

    @property
    def bits_per_second(self) -> float | None:
        return None if self._estimate is None else self._estimate * 1000

    def received(self, arrival: int, size: int, *, application_limited: bool = False) -> None:
        """Take a packet of `size` bytes that arrived at `arrival` (receiver's clock, ns)."""
        window = _FIRST_WINDOW if self._estimate is None else _WINDOW
        sample = self._sample(arrival, size, window)
        if sample is None:
            return
        if self._estimate is None:
            self._estimate = sample
            return
        scale = _UNCERTAINTY_APPLICATION_LIMITED if application_limited and sample < self._estimate else _UNCERTAINTY
        uncertainty = scale * abs(self._estimate - sample) / max(1e-9, self._estimate + sample)
        variance = uncertainty * uncertainty
        predicted = self._variance + _GROWTH
        self._estimate = (variance * self._estimate + predicted * sample) / (variance + predicted)
        self._variance = variance * predicted / (variance + predicted)

    def expect_change(self) -> None:
        """The sender has stopped to be application limited: let the next samples count for more."""
        self._variance += _FAST_CHANGE

    def _sample(self, arrival: int, size: int, window: int) -> float | None:
        """Return the rate of a window that is full, in kbit/s."""
        if self._last is None or arrival < self._last:
            self._last = arrival
            self._bytes = size
            self._elapsed = 0
            return None
        gap = arrival - self._last
        self._last = arrival
        self._elapsed += gap
        if gap > window:  # nothing came for longer than a window: what was in it says nothing
            self._bytes = 0
            self._elapsed %= window
        sample = None
        if self._elapsed >= window:
            sample = self._bytes * 8 * 1e6 / window
            self._bytes = 0
            self._elapsed -= window
        self._bytes += size
        return sample
