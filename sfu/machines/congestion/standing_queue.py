"""Detection of a standing queue: delays that stay high without growing, as behind a full but short router queue.

A short queue that never empties means that the link is always busy: the rate at which packets arrive is its capacity.

The trend of delays (see overuse) shows a growing queue, not one that is already full. GCC, by contrast, leaves that
case to losses alone. A baseline that has really risen, as after a change of route, is accepted after a while, since a
queue would have drained by then.
"""

from sfu.machines.congestion.least_delay import LeastDelay

_STANDING_NS = 150_000_000
_HOLD_NS = 300_000_000
_BELIEVED_NS = 4_000_000_000
_BUSY_NS, _BUSY_HOLD_NS, _BUSY_BELIEVED_NS = 40_000_000, 500_000_000, 10_000_000_000


class StandingQueue:
    """The detector, fed with the smallest one-way delay of each feedback message (ns; the clocks' difference cancels
    out).

    `queueing` is its excess over the smallest of the last minute; `is_busy` is true if the queue has not emptied
    lately.
    """

    def __init__(self) -> None:
        self.queueing = 0
        self.is_busy = False
        self._least = LeastDelay()
        self._since: int | None = None
        self._busy_since: int | None = None

    def update(self, delay: int, now: int, *, is_shared: bool = False) -> bool:
        """Take a delay (ns); return True if a queue has been standing for a moment.

        `is_shared`: others keep the queue filled, so that it stands for long although the baseline has not risen.
        """
        self.queueing = self._least.excess(delay, now)
        self._watch(now, is_shared=is_shared)
        if self.queueing < _STANDING_NS:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since >= _BELIEVED_NS and not is_shared:
            self._least.forget()
            self._since = None
            return False
        return now - self._since >= _HOLD_NS

    def drained(self) -> None:
        """Forget the queue, since nothing has been sent for so long that none can be left."""
        self.queueing = 0
        self._since = self._busy_since = None
        self.is_busy = False

    def _watch(self, now: int, *, is_shared: bool) -> None:
        if self.queueing < _BUSY_NS:
            self._busy_since, self.is_busy = None, False
            return
        if self._busy_since is None:
            self._busy_since = now
        if now - self._busy_since >= _BUSY_BELIEVED_NS and not is_shared:
            self._least.forget()
            self._busy_since, self.is_busy = None, False
            return
        self.is_busy = now - self._busy_since >= _BUSY_HOLD_NS
