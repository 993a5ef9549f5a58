"""Arrivals at a receiver in windows of time: the samples of the acknowledged rate.

After libwebrtc's BitrateEstimator: the first window is longer than the others, and a gap longer than a window says
nothing about the rate.
"""

_FIRST_WINDOW = 500_000_000
_WINDOW = 150_000_000


class ArrivalWindows:
    """Windows, fed with arrivals in order."""

    def __init__(self) -> None:
        self._window = _FIRST_WINDOW
        self._bytes = 0
        self._elapsed = 0
        self._last: int | None = None

    def received(self, arrival: int, size: int) -> float | None:
        """Take a packet that arrived at `arrival` (receiver's clock, ns); return a full window's rate in kbit/s."""
        if self._last is None or arrival < self._last:
            self._last = arrival
            self._bytes = size
            self._elapsed = 0
            return None
        gap = arrival - self._last
        self._last = arrival
        self._elapsed += gap
        if gap > self._window:  # nothing arrived for longer than a window, so its packets say nothing
            self._bytes = 0
            self._elapsed %= self._window
        sample = None
        if self._elapsed >= self._window:
            sample = self._bytes * 8 * 1e6 / self._window
            self._bytes = 0
            self._elapsed -= self._window
            self._window = _WINDOW
        self._bytes += size
        return sample
