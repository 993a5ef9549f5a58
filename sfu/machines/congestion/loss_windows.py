"""Losses in windows of sending time: the samples to which the loss-based rate is fitted."""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.machines.congestion.send_history import PacketResult

_WINDOW_NS = 250_000_000
_MIN_PACKETS = 10


class LossWindow(NamedTuple):
    """A window; `rate` is the sent rate in bits/s."""

    packets: int
    lost: int
    rate: float


class LossWindows:
    """Windows, fed with the results of every message."""

    def __init__(self) -> None:
        self._packets = self._lost = self._bytes = 0
        self._first_sent: int | None = None
        self._last_sent = 0

    def add(self, results: Sequence[PacketResult]) -> LossWindow | None:
        """Add results to the window under way; return it when it is complete."""
        for result in results:
            if result.was_lost:
                self._lost -= 1  # an earlier message reported it lost, but it was only late
                continue
            if self._first_sent is None:
                self._first_sent = result.sent
            self._last_sent = max(self._last_sent, result.sent)
            self._packets += 1
            self._bytes += result.size
            self._lost += result.arrival is None
        if self._first_sent is None or self._packets < _MIN_PACKETS:
            return None
        duration = self._last_sent - self._first_sent
        if duration < _WINDOW_NS:
            return None
        window = LossWindow(self._packets, max(0, self._lost), self._bytes * 8e9 / duration)
        self._packets = self._lost = self._bytes = 0
        self._first_sent = None
        return window
