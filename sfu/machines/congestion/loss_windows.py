"""Losses in windows of sending time: the samples to which the loss-based rate is fitted."""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.machines.congestion.send_history import PacketResult, SentKind

_WINDOW_NS = 250_000_000
_MIN_PACKETS = 10
_LONGEST_NS = 1_000_000_000  # for which a window waits for packets without copies


class LossWindow(NamedTuple):
    """A window; `rate` is the sent rate in bits/s, of packets with copies too."""

    packets: int
    lost: int
    rate: float


class LossWindows:
    """Windows, fed with the results of every message. Copies hide losses, so packets of which copies were sent count
    only if there are too few others.
    """

    def __init__(self) -> None:
        self._packets = self._lost = self._bytes = 0
        self._copied = self._copied_lost = 0
        self._first_sent: int | None = None
        self._last_sent = 0

    def add(self, results: Sequence[PacketResult]) -> LossWindow | None:
        """Add results to the window under way; return it when it is complete."""
        for result in results:
            is_copied = result.kind == SentKind.COPIED_AUDIO
            if result.was_lost:
                self._lost -= 1  # an earlier message reported it lost, but it was only late
                self._copied_lost -= is_copied
                continue
            if self._first_sent is None:
                self._first_sent = result.sent
            self._last_sent = max(self._last_sent, result.sent)
            self._packets += 1
            self._bytes += result.size
            self._copied += is_copied
            if result.arrival is None:
                self._lost += 1
                self._copied_lost += is_copied
        if self._first_sent is None or self._packets < _MIN_PACKETS:
            return None
        duration = self._last_sent - self._first_sent
        single = self._packets - self._copied
        if duration < _WINDOW_NS or (0 < single < _MIN_PACKETS and duration < _LONGEST_NS):
            return None
        packets, lost = self._packets, self._lost
        if single >= _MIN_PACKETS:
            packets, lost = single, lost - self._copied_lost
        window = LossWindow(packets, max(0, lost), self._bytes * 8e9 / duration)
        self._packets = self._lost = self._bytes = 0
        self._copied = self._copied_lost = 0
        self._first_sent = None
        return window
