"""Overload watch: measures whether a node has enough time, sheds work if not, and reports it."""

import logging
from collections.abc import Callable

from sfu.engine.contract import Drop
from sfu.engine.pump import Pump
from sfu.machines.shedding import WINDOW_NS, Measured, Shedding
from sfu.rooms.node import Node
from sfu.server.look_pause import LookPause
from sfu.server.time_in_use import TimeInUse

_CALM_NS = 10_000_000_000
"""The time after an overload during which a node still takes no new rooms."""

_LONG_WINDOW_NS, _STOPPED_NS = 3 * WINDOW_NS, 2 * WINDOW_NS
"""A window that is so long, and so much of it not in use, means that the process was stopped; if it had only had no
processor, or too much to do, all of the time would count as in use.
"""

_log = logging.getLogger(__name__)


class OverloadWatch:
    """Takes every poll of the sockets. `changed` is called when `is_overloaded` changes."""

    def __init__(self, node: Node, pump: Pump, pause: LookPause) -> None:
        self._node = node
        self._pump = pump
        self._pause = pause
        self._time_in_use = TimeInUse()
        self._shedding = Shedding()
        self._window_ends = 0
        self._waited: int | None = None
        self._lost_before = self._read_before = 0
        self._shed_at = -_CALM_NS
        self.waited = 0
        """The shortest wait of any datagram read in the last window, in ns."""
        self.behind = 0
        """The wait for policy at the end of the last window, in ns."""
        self.is_overloaded = False
        self.changed: Callable[[], None] = lambda: None

    @property
    def step(self) -> int:
        """The step of shedding; 0 leaves out nothing."""
        return self._shedding.step

    def looked(self) -> None:
        """Take a poll of the sockets."""
        waited = self._pump.waited
        self._waited = waited if self._waited is None else min(self._waited, waited)

    def passed(self, now: int) -> None:
        """Take a step of the loop."""
        if now >= self._window_ends:
            self._end_window(now)

    def _end_window(self, now: int) -> None:
        self.waited = self._waited or 0
        self._waited = None
        elapsed, self._window_ends = now - self._window_ends + WINDOW_NS, now + WINDOW_NS
        drops = self._pump.drops
        lost = self._pump.receive_buffers().dropped + drops[Drop.BACKLOG_FULL] + drops[Drop.STALE]
        self.behind = self._node.behind(now)
        read = self._pump.datagrams_read
        in_use = self._time_in_use.read(now)
        busy = in_use if in_use is not None else self._pause.busy
        measured = Measured(
            self.waited,
            self.behind,
            lost - self._lost_before,
            read - self._read_before,
            busy,
            is_pending=self._node.is_rationing,
            was_stopped=in_use is not None and elapsed > _LONG_WINDOW_NS and (1 - in_use) * elapsed > _STOPPED_NS,
        )
        self._lost_before, self._read_before = lost, read
        before = self.step
        if self._shedding.update(measured, now):
            self._node.ration(self._shedding.shed, now)
            if (before == 0) != (self.step == 0):
                _log.warning(
                    "overloaded: leaving out some video" if self.step else "not overloaded: all video passes again"
                )
        if self.step:
            self._shed_at = now
        is_overloaded = now - self._shed_at < _CALM_NS
        if is_overloaded != self.is_overloaded:
            self.is_overloaded = is_overloaded
            self.changed()
