"""An overloaded node: it notices, sheds work, reports that, and takes the work up again."""

from collections import Counter
from types import SimpleNamespace
from typing import cast

from sfu.engine.contract import Drop
from sfu.engine.pump import Pump
from sfu.engine.sockets import ReceiveBuffers
from sfu.machines.shedding import NOTHING, WINDOW_NS, Shed
from sfu.rooms.node import Node
from sfu.server.look_pause import LookPause
from sfu.server.overload_watch import OverloadWatch

_LOOK_NS = WINDOW_NS // 50


class Busy:
    """A pump and a node whose figures are set by hand; `rationed` is the shedding that the node was asked for."""

    def __init__(self) -> None:
        self.waited = self.behind_for = 0
        self.drops: Counter[Drop] = Counter()
        self.dropped = 0
        self.rationed: list[Shed] = []
        self.changes = 0
        self.now = 1_000_000_000_000
        pump = SimpleNamespace(waited=0, datagrams_read=0, drops=self.drops, receive_buffers=self._buffers)
        node = SimpleNamespace(
            behind=lambda now: self.behind_for,
            ration=lambda shed, now: self.rationed.append(shed),
            is_rationing=False,
        )
        self._pump = pump
        self.watch = OverloadWatch(cast(Node, node), cast(Pump, pump), LookPause())
        self.watch.changed = self._changed
        self.look(1)

    def _buffers(self) -> ReceiveBuffers:
        return ReceiveBuffers(0, 1, self.dropped)

    def _changed(self) -> None:
        self.changes += 1

    def look(self, seconds: float, *, at_times: int = 0) -> None:
        """Look at the sockets for a while; `at_times`, one look in so many finds nothing that has waited."""
        for number in range(round(seconds * 1e9 / _LOOK_NS)):
            self._pump.waited = 0 if at_times and number % at_times == 0 else self.waited
            self._pump.datagrams_read += 100
            self.now += _LOOK_NS
            self.watch.looked()
            self.watch.passed(self.now)


def test_a_queue_that_stands_is_an_overload_and_one_that_drains_is_none() -> None:
    busy = Busy()
    busy.waited = 60_000_000
    busy.look(5, at_times=20)
    assert (busy.watch.step, busy.rationed) == (0, [])
    busy.waited = 70_000_000
    busy.look(0.5)
    assert busy.watch.step > 0
    assert busy.rationed[0].sparing


def test_so_are_policy_that_falls_behind_and_sockets_that_overflow() -> None:
    late = Busy()
    late.behind_for = 1_000_000_000
    late.look(0.5)
    assert late.watch.step > 0
    full = Busy()
    for _ in range(5):
        full.dropped += 500
        full.look(0.1)
    assert full.watch.step > 0
    crowded = Busy()
    for _ in range(5):
        crowded.drops[Drop.BACKLOG_FULL] += 500
        crowded.look(0.1)
    assert crowded.watch.step > 0
    fine = Busy()
    for _ in range(5):
        fine.dropped += 10  # of five thousand
        fine.look(0.1)
    assert fine.watch.step == 0


def test_it_is_said_at_once_and_for_some_seconds_after_and_all_of_it_is_taken_up_again() -> None:
    busy = Busy()
    assert not busy.watch.is_overloaded
    busy.waited = 50_000_000
    busy.look(1)
    assert busy.watch.is_overloaded and busy.changes == 1
    busy.waited = 0
    busy.look(2)
    assert busy.watch.step == 0 and busy.rationed[-1] == Shed(silence=True)
    assert busy.watch.is_overloaded
    for _ in range(12):  # nothing to read: other work goes on
        busy.now += 1_000_000_000
        busy.watch.passed(busy.now)
    assert not busy.watch.is_overloaded and busy.changes == 2
    for _ in range(20):
        busy.now += 1_000_000_000
        busy.watch.passed(busy.now)
    assert busy.rationed[-1] == NOTHING
