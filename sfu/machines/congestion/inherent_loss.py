"""The loss of the link itself: that of packets sent while none of ours waited, so less would be lost by no lower rate.

It is known soon, for repairs, and for certain after two seconds, for the capacity: a burst that a short queue could not
hold looks the same at first.
"""

from collections import deque
from statistics import median

from sfu.machines.congestion.loss_windows import LossWindow

_WINDOWS, _ENOUGH = 12, 8
_MOST = 0.5  # of what is sent; a link that loses more may be gone
_KEPT_NS = 1_000_000_000


class InherentLoss:
    """`newest` and `lasting` are shares, 0 while unknown."""

    def __init__(self) -> None:
        self.newest = self.lasting = 0.0
        self._drained_at: int | None = None
        self._shares: deque[float] = deque(maxlen=_WINDOWS)

    def update(self, window: LossWindow | None, loss: float, now: int, *, is_drained: bool) -> None:
        """Take a completed window and the average loss of the last few. A short queue, as after a burst, keeps the
        newest loss for a second.
        """
        if is_drained:
            self.newest, self._drained_at = loss, now
            if window is not None:
                self._shares.append(window.lost / window.packets)
                self.lasting = min(median(self._shares), _MOST) if len(self._shares) >= _ENOUGH else 0.0
        elif self._drained_at is not None and now - self._drained_at >= _KEPT_NS:
            self.newest = 0.0
