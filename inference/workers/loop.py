"""The loop of a worker: frames come in over a socket, answers go out, and time passes."""

import select
import socket
import time
from collections.abc import Sequence
from typing import Protocol

from inference import messages

_TICK_S = 0.1
_REPORT_S = 1.0
_RECEIVE_BYTES = 1 << 18


class Work(Protocol):
    """The work of a worker. Each call returns the messages to send; times are CLOCK_MONOTONIC ns."""

    def take(self, content: bytes, /) -> Sequence[messages.AnyMessage]:
        """Take the content of a frame."""

    def tick(self, now: int, /) -> Sequence[messages.AnyMessage]:
        """Do what is due, ten times a second."""

    def counts(self) -> messages.AnyMessage:
        """Return and reset the counters, once a second."""


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
