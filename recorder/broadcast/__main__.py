"""The process that composes one broadcast. It decodes participants' media, so it has no secrets, and no network except
the sink socket that it inherits.

    python -m recorder.broadcast DESCRIPTOR ORDER

writes encoded media to standard output (foundation.media_units) until the sfu closes the socket or the reader is gone.
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
from recorder.broadcast.contract import Order, State
from recorder.broadcast.encoders import AudioEncoder, VideoEncoder
from recorder.broadcast.picture import Picture
from recorder.broadcast.sound import Mixer
from recorder.compose.samples import RATE
from sfu.api.sink_records import MAX_RECORD_BYTES, decode, encode

DELAY = 500_000_000
_MAX_MEMORY = 4 << 30
_NICE = 5
_RECORDS = 512
_MAX_LATE = 10
"""Number of late pictures that are still made; beyond it some are left out. A busy machine can catch up within it."""
_TICK = 100_000_000
_SECOND = 1_000_000_000


class Studio:
    """The pipeline from the socket to standard output. Times are ns of the monotonic clock."""

    def __init__(self, sink: socket.socket, order: Order) -> None:
        self._sink = sink
        self._order = order
        self._cast = Cast(order.zero)
        self._picture = Picture(order.film)
        self._mixer = Mixer()
        self._video = VideoEncoder(order)
        begin = max(0, time.monotonic_ns() - DELAY - order.zero)
        self._index = begin * order.rate // _SECOND + 1
        self._first = self._index
        self._heard = self._index * RATE // order.rate
        self._audio = AudioEncoder(self._heard)
        self._left_out = 0
        self._told = -1
        self._out = sys.stdout.buffer

    def run(self) -> None:
        """Compose until the sfu closes the socket."""
        self._write(self._video.setup(), self._audio.setup())
        ticked = 0
        while True:
            now = time.monotonic_ns()
            due = self._order.zero + DELAY + self._index * _SECOND // self._order.rate
            if now >= due:
                self._compose(now)
                continue
            if now - ticked >= _TICK:
                ticked = now
                for wanted in self._cast.tick(now):
                    with contextlib.suppress(BlockingIOError):
                        self._sink.send(encode(wanted))
            select.select([self._sink], [], [], (due - now) / _SECOND)
            if not self._receive():
                break
        self._cast.close()

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
        latest = (now - DELAY - self._order.zero) * self._order.rate // _SECOND
        if latest > self._index + _MAX_LATE:
            self._left_out += latest - self._index
            self._index = latest
        position = self._index * RATE // self._order.rate
        heard = self._mixer.mix(self._cast.sounds(), self._heard, position - self._heard)
        self._heard = position
        self._picture.heard(heard.level)
        self._write(*self._audio.encode(heard.samples))
        us = self._index * 1_000_000 // self._order.rate
        picture = self._picture.at(self._cast, us, self._mixer.speaker)
        self._write(*self._video.encode(picture, self._index))
        if (second := self._index // self._order.rate) != self._told:
            self._told = second
            made = self._index - self._first + 1 - self._left_out
            state = State(pictures=made, left_out=self._left_out, people=self._cast.people)
            self._write(Unit(UnitKind.STATE, False, us, msgspec.json.encode(state)))
        self._index += 1
        self._receive()

    def _write(self, *units: Unit) -> None:
        for unit in units:
            write(self._out, unit)
        self._out.flush()


def main() -> int:
    sink = socket.socket(fileno=int(sys.argv[1]))
    sink.setblocking(False)
    order = msgspec.json.decode(sys.argv[2], type=Order)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        Studio(sink, order).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
