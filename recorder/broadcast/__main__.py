"""The process that composes one broadcast. It decodes participants' media, so it has no secrets, and no network except
the sink socket that it inherits.

    python -m recorder.broadcast DESCRIPTOR START

reads the views to make from standard input, and writes encoded media to standard output (foundation.media_units) until
the sfu closes the socket or the reader is gone.
The picture is delayed by DELAY, which leaves time for late packets and retransmissions.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time

import msgspec

from foundation.media_units import Unit, UnitKind, write
from recorder.broadcast.cast import Cast
from recorder.broadcast.composed_view import ComposedView
from recorder.broadcast.contract import Start, State, View, Views
from recorder.compose.samples import RATE
from sfu.api.sink_records import MAX_RECORD_BYTES, decode, encode

DELAY = 500_000_000
_MAX_MEMORY = 4 << 30
_NICE = 5
_RECORDS = 512
_MAX_LATE = 10
"""Number of late pictures that are still made; beyond it some are left out. A busy machine can catch up within it."""
_TICK = 100_000_000
_READ = 1 << 16
_SECOND = 1_000_000_000


class Studio:
    """The pipeline from the socket to standard output. Times are ns of the monotonic clock."""

    def __init__(self, sink: socket.socket, start: Start) -> None:
        self._sink = sink
        self._zero, self._rate = start.zero, start.rate
        self._cast = Cast(start.zero)
        self._views: dict[str, ComposedView] = {}
        self._orders = b""
        begin = max(0, time.monotonic_ns() - DELAY - start.zero)
        self._index = begin * start.rate // _SECOND + 1
        self._first = self._index
        self._left_out = 0
        self._told = -1
        self._out = sys.stdout.buffer

    def run(self) -> None:
        """Compose until the sfu closes the socket, or standard input ends."""
        ticked = 0
        while True:
            now = time.monotonic_ns()
            due = self._zero + DELAY + self._index * _SECOND // self._rate
            if now >= due:
                self._compose(now)
                continue
            if now - ticked >= _TICK:
                ticked = now
                for wanted in self._cast.tick(now):
                    with contextlib.suppress(BlockingIOError):
                        self._sink.send(encode(wanted))
            ready, _, _ = select.select([self._sink, sys.stdin], [], [], (due - now) / _SECOND)
            if (sys.stdin in ready and not self._follow_orders()) or not self._receive():
                break
        self._cast.close()

    def _follow_orders(self) -> bool:
        """Read the views to make; return False at the end."""
        data = os.read(sys.stdin.fileno(), _READ)
        *whole, self._orders = (self._orders + data).split(b"\n")
        if whole:
            self._show(msgspec.json.decode(whole[-1], type=Views).views)
        return bool(data)

    def _show(self, orders: tuple[View, ...]) -> None:
        """Begin new and changed views with the next picture, and end others."""
        views = {}
        for order in orders:
            view = self._views.get(order.name)
            if view is None or view.order != msgspec.structs.replace(order, images=view.order.images):
                view = ComposedView(order, self._index, self._rate)
                self._write(*view.begin())
            view.order = order
            views[order.name] = view
        self._views = views
        self._cast.show(tuple(order.film for order in orders if order.encoded or order.images))

    def _receive(self) -> bool:
        """Read and process available records; return False at the end."""
        for _ in range(_RECORDS):
            try:
                data = self._sink.recv(MAX_RECORD_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            with contextlib.suppress(ValueError):
                self._cast.take(decode(data))
        return True

    def _compose(self, now: int) -> None:
        """Make the due pictures and the sound up to them; if too many are late, leave some out."""
        latest = (now - DELAY - self._zero) * self._rate // _SECOND
        if latest > self._index + _MAX_LATE:
            self._left_out += latest - self._index
            self._index = latest
        for view in self._views.values():
            self._write(*view.make(self._cast, self._index))
        self._cast.forget_sound(self._index * RATE // self._rate)
        if (second := self._index // self._rate) != self._told:
            self._told = second
            made = self._index - self._first + 1 - self._left_out
            state = State(pictures=made, left_out=self._left_out, people=self._cast.people)
            self._write(Unit(UnitKind.STATE, False, second * 1_000_000, msgspec.json.encode(state)))
        self._index += 1
        self._receive()

    def _write(self, *units: Unit) -> None:
        for unit in units:
            write(self._out, unit)
        self._out.flush()


def main() -> int:
    sink = socket.socket(fileno=int(sys.argv[1]))
    sink.setblocking(False)
    start = msgspec.json.decode(sys.argv[2], type=Start)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        Studio(sink, start).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
