"""The main loops of workers, on the socket to their parent process.

`serve` is for work that also depends on time, `answer` for one reply per request, `send_all` for a worker that reads
one file and ends.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from foundation import confinement
from inference import messages

_TICK_S = 0.1
_REPORT_S = 1.0
_RECEIVE_BYTES = 1 << 18


class Work(Protocol):
    """The task of a worker. Each call returns the messages to send; times are CLOCK_MONOTONIC ns."""

    def take(self, content: bytes, /) -> Sequence[messages.AnyMessage]:
        """Process the content of a frame."""

    def tick(self, now: int, /) -> Sequence[messages.AnyMessage]:
        """Do the work that is due; called ten times a second."""

    def counts(self) -> messages.AnyMessage:
        """Return and reset the counters; called once a second."""


@contextlib.contextmanager
def confined_channel(descriptor: int, model: str = "") -> Iterator[socket.socket]:
    """Confine this process, report that it is ready, and yield its socket; the block ends when that is closed."""
    with socket.socket(fileno=descriptor) as channel, contextlib.suppress(ConnectionError):
        channel.sendall(messages.encode(messages.Ready(confined=confinement.confine(), model=model)))
        yield channel


def answer(channel: socket.socket, reply: Callable[[messages.AnyMessage], messages.AnyMessage]) -> None:
    """Send the reply to each message, or Failed if `reply` raises, until the other side closes the socket."""
    reader = messages.FrameReader()
    while data := channel.recv(_RECEIVE_BYTES):
        for content in reader.feed(data):
            try:
                message = reply(messages.decode(content))
            except (ValueError, RuntimeError, MemoryError) as error:
                message = messages.Failed(reason=f"{type(error).__name__}: {error}")
            channel.sendall(messages.encode(message))


def send_all(channel: socket.socket, found: Iterable[messages.AnyMessage]) -> None:
    """Send the results for a file, with Failed at the end if reading it raises."""
    try:
        for message in found:
            channel.sendall(messages.encode(message))
    except (ValueError, MemoryError) as error:
        channel.sendall(messages.encode(messages.Failed(reason=str(error) or "the file needs too much memory")))


def serve(channel: socket.socket, work: Work) -> None:
    """Work until the other side closes the socket."""
    reader = messages.FrameReader()
    ticked = reported = time.monotonic()
    while True:
        readable, _, _ = select.select([channel], [], [], _TICK_S)
        out: list[messages.AnyMessage] = []
        if readable:
            data = channel.recv(_RECEIVE_BYTES)
            if not data:
                return
            for content in reader.feed(data):
                out += work.take(content)
        now = time.monotonic()
        if now - ticked >= _TICK_S:
            out += work.tick(time.monotonic_ns())
            ticked = now
        if now - reported >= _REPORT_S:
            out.append(work.counts())
            reported = now
        for message in out:
            channel.sendall(messages.encode(message))
