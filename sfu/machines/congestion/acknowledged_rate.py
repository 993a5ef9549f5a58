"""The rate at which packets arrive at the receiver, from feedback (libwebrtc's BitrateEstimator).

Windows of arrivals are samples of a Bayesian estimate; a sample far from it counts for less.
"""

_UNCERTAINTY = 10.0
_UNCERTAINTY_APPLICATION_LIMITED = 20.0
_FIRST_VARIANCE = 50.0
_GROWTH = 5.0
_FAST_CHANGE = 200.0


class AcknowledgedRate:
    """The rate, fed with the rates of windows (`arrival_windows`); `bits_per_second` is None before the first."""

    def __init__(self) -> None:
        self._estimate: float | None = None  # kbit/s, as the constants are
        self._newest = 0.0
        self._variance = _FIRST_VARIANCE

    @property
    def bits_per_second(self) -> float | None:
        return None if self._estimate is None else self._estimate * 1000

    @property
    def newest(self) -> float:
        """The rate of the newest window, in bits/s."""
        return self._newest * 1000

    def sampled(self, sample: float, *, application_limited: bool = False) -> None:
        """Take the rate of a window, in kbit/s."""
        self._newest = sample
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
        """Let the next samples count for more, since the sender is no longer application limited."""
        self._variance += _FAST_CHANGE
