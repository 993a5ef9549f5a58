"""Delay of a publisher's packets on their way to us, and the part of it that feedback hides from the publisher.

The send times are those that the packets carry (abs-send-time). The two clocks differ, so only differences between
delays mean something.

A publisher's estimator takes growing delays for a queue of its own, and sends less. While `hides` is set, because
others fill the queue, the delay that feedback shows stays as it was. Afterwards what was hidden is shown again, little
by little: if the queue was the publisher's own after all, its estimator must learn that.

This code runs in the Python engine, and is the specification of the compiled one.
"""

from typing import NamedTuple

from sfu.formats.unwrap import Unwrapper
from sfu.machines.congestion.least_delay import LeastDelay

QUEUE_NS = 20_000_000
JUMP_NS = 10_000_000_000  # no queue, but a clock that was set, or send times that mean something else
MAX_ELAPSED_NS = 1_000_000_000
_STAMP_BITS = 24


class UplinkWindow(NamedTuple):
    """The content of one feedback message: when its newest packet arrived, the queueing delay (ns), and the bytes."""

    until: int
    queueing: int
    size: int


class UplinkDelay:
    """The delay on one publisher's uplink. Times are in ns."""

    def __init__(self) -> None:
        self.hides = False
        self._stamps = Unwrapper(_STAMP_BITS)
        self._size = 0
        self._least: int | None = None
        self._usual = LeastDelay()
        self._shown: int | None = None  # the delay that feedback shows while it hides the rest
        self._hidden_before = self._hidden = 0
        self._begin = self._until = 0
        self._was_told = False

    def received(self, stamp: int | None, arrival: int, size: int) -> None:
        """Take a packet: its abs-send-time (seconds as 6.18 fixed point), if it has one, its arrival, and its bytes."""
        self._size += size
        if stamp is None:
            return
        delay = arrival - (self._stamps.unwrap(stamp) * 1_953_125 >> 9)  # 2 ** -18 s in ns
        self._least = delay if self._least is None else min(self._least, delay)

    def end_window(self, until: int) -> UplinkWindow | None:
        """Decide what to hide of the arrivals since the last call, of which `until` is the latest.

        Returns the window if packets wait or if delays are hidden, and once more when neither is the case any longer.
        """
        elapsed = min(max(until - self._until, 0), MAX_ELAPSED_NS)
        self._begin, self._until = until - elapsed, until
        least, size = self._least, self._size
        self._least, self._size = None, 0
        usual = self._usual.least
        if least is not None and usual is not None and abs(least - usual) > JUMP_NS:
            self._usual.forget()
            self._shown = None
        self._hide(least, elapsed)
        if least is None:
            return None
        queueing = self._usual.excess(least, until, holds=self.hides)
        was_told, self._was_told = self._was_told, self.hides or queueing >= QUEUE_NS
        return UplinkWindow(until, queueing, size) if was_told or self._was_told else None

    def hidden(self, arrival: int) -> int:
        """Return what is hidden of the delay of a packet that arrived within the last window."""
        change = self._hidden - self._hidden_before
        if arrival >= self._until or change == 0:
            return self._hidden
        passed = (max(arrival - self._begin, 0) << 10) // (self._until - self._begin)
        return self._hidden_before + (change * passed >> 10)

    def _hide(self, least: int | None, elapsed: int) -> None:
        """Hide what is beyond the shown delay; the shown times of arrival must stay in order."""
        self._hidden_before = self._hidden
        aim, reach = 0, elapsed // 4
        if not self.hides:
            self._shown = None
        elif least is None:
            return
        else:
            if self._shown is None:
                self._shown = least - self._hidden
            aim, reach = least - self._shown, elapsed * 4 // 5
        self._hidden += min(max(aim - self._hidden, -reach), reach)
