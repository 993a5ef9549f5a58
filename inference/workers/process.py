"""A worker process and the stream socket to it.

It gets no secrets (foundation.worker_process). Its queue is bounded: a worker that is too slow loses frames, which the
caller counts.
"""

import asyncio
import contextlib
import logging

from foundation import worker_process
from inference import messages

MAX_UNSENT_BYTES = 4 << 20
_STOP_SECONDS = 0.2
_RECEIVE_BYTES = 1 << 18


class WorkerProcess:
    """A running worker. Create it with `start`, and call `stop` in the end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._frames = messages.FrameReader()
        self._received: list[bytes] = []

    @classmethod
    async def start(cls, module: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> "WorkerProcess":
        """Start `python -m module FD arguments…`; raises OSError if the process or socket cannot be created.

        `descriptors` are open files that the worker inherits under the same numbers.
        """
        process, channel = await worker_process.start(module, *arguments, descriptors=descriptors)
        reader, writer = await asyncio.open_connection(sock=channel)
        return cls(process, reader, writer)

    def send(self, frame: bytes) -> bool:
        """Send a frame made by `messages.frame`; return False if the worker has ended or is too far behind."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return False
        self._writer.write(frame)
        return True

    async def receive(self) -> messages.AnyMessage | None:
        """Return the next message, or None if the worker has ended. Raises ValueError for an invalid one."""
        while not self._received:
            try:
                data = await self._reader.read(_RECEIVE_BYTES)
            except ConnectionError:
                return None
            if not data:
                return None
            self._received = list(self._frames.feed(data))[::-1]
        return messages.decode(self._received.pop())

    async def stop(self) -> int:
        """Close the socket and wait for the worker to end; a busy one is killed. Return its status."""
        self._writer.close()
        try:
            return await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                self._process.kill()
            return await self._process.wait()


def confinement(ready: messages.Ready) -> tuple[int, str]:
    """Return the log level and a sentence about a worker's confinement: a warning if there is no seccomp filter."""
    if "seccomp" in ready.confined:
        return logging.INFO, f"confined by {', '.join(ready.confined)}"
    return logging.WARNING, "confined by rlimits alone: this system offers no supported seccomp filter"
