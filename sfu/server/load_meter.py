"""Measurement of a node's load: its share of a core, the time that input waits, packets per second."""

import time

from sfu.api.registration import NodeLoad
from sfu.engine.pump import Pump
from sfu.rooms.node import Node
from sfu.server.overload_watch import OverloadWatch

_WINDOW_SECONDS = 1.0


class LoadMeter:
    """Measures the load. It may be read at any rate; shares and rates are updated at most once a second."""

    def __init__(self, node: Node, pump: Pump, overload: OverloadWatch) -> None:
        self._node = node
        self._pump = pump
        self._overload = overload
        self._at, self._used, self._seen = time.monotonic(), time.process_time(), self._packets()
        self._cpu = self._rate = 0.0

    def read(self) -> NodeLoad:
        now = time.monotonic()
        elapsed = now - self._at
        if elapsed >= _WINDOW_SECONDS:
            used, seen = time.process_time(), self._packets()
            self._cpu, self._rate = (used - self._used) / elapsed, (seen - self._seen) / elapsed
            self._at, self._used, self._seen = now, used, seen
        rooms = self._node.rooms.values()
        return NodeLoad(
            cpu=round(self._cpu, 2),
            lag_ms=round(max(self._overload.waited, self._overload.behind) / 1e6, 1),
            packets=round(self._rate),
            participants=sum(len(room.own()) for room in rooms),
            rooms=len(rooms),
        )

    def _packets(self) -> int:
        counters = self._pump.counters
        return counters["datagrams_in"] + counters["datagrams_out"]
