"""A sink's end of the sfu's SEQPACKET socket: one record per message (sfu.api.sink_records). It reattaches by
itself.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from foundation.backoff import Backoff
from sfu.api.sink_records import MAX_RECORD_BYTES, AnyRecord, encode

_log = logging.getLogger(__name__)

MAX_UNSENT = 1000
_BATCH = 256
_RECEIVE_BUFFER = 4 << 20
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class SinkSocket:
    """One attachment. The sfu drops what a sink does not read in time, so call `receive` again soon.

    Records that the sfu does not accept at once wait here. `dropped` is called with the reason for each record that is
    not sent: `full` (too many wait) or `closed` (the sfu has closed the socket, as `receive` reports).
    """

    def __init__(self, connected: socket.socket, dropped: Callable[[str], None]) -> None:
        self._socket = connected
        self._dropped = dropped
        self._unsent: deque[tuple[bytes, bool]] = deque()
        self._is_full = False
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, path: Path, dropped: Callable[[str], None]) -> Self:
        """Attach to the sfu at `path`; raises OSError."""
        return cls(connected(path), dropped)

    def close(self) -> None:
        """Detach."""
        self._await_room(False)
        self._socket.close()
        self._unsent.clear()

    async def receive(self) -> list[bytes]:
        """Wait for records and return up to 256; returns none once the sfu has closed the socket."""
        await asyncio.sleep(0)  # let other tasks run, however many records wait
        while True:
            batch: list[bytes] = []
            try:
                while len(batch) < _BATCH:
                    data = self._socket.recv(MAX_RECORD_BYTES)
                    if not data:
                        return batch
                    batch.append(data)
            except BlockingIOError:
                pass
            except ConnectionResetError:
                return batch
            if batch:
                return batch
            await self._readable()

    def send(self, record: AnyRecord, *, expendable: bool = False) -> None:
        """Send a record as soon as the sfu accepts it. If too many wait, an expendable one is dropped first."""
        self._unsent.append((encode(record), expendable))
        if len(self._unsent) > MAX_UNSENT:
            self._shed()
        self._send_waiting()

    def _send_waiting(self) -> None:
        try:
            while self._unsent:
                self._socket.send(self._unsent[0][0])
                self._unsent.popleft()
        except BlockingIOError:
            self._await_room(True)
            return
        except (BrokenPipeError, ConnectionResetError):
            for _ in self._unsent:
                self._dropped("closed")
            self._unsent.clear()
        self._await_room(False)

    def _await_room(self, is_full: bool) -> None:
        """Watch the socket for room, or stop; asyncio takes long to remove what it does not watch."""
        if is_full and not self._is_full:
            self._loop.add_writer(self._socket, self._send_waiting)
        elif self._is_full and not is_full:
            self._loop.remove_writer(self._socket)
        self._is_full = is_full

    def _shed(self) -> None:
        self._dropped("full")
        del self._unsent[next((index for index, (_, expendable) in enumerate(self._unsent) if expendable), 0)]

    async def _readable(self) -> None:
        readable = asyncio.Event()
        self._loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(self._socket)


def connected(path: Path) -> socket.socket:
    """Return a socket that is connected to the sfu at `path`, and does not block; raises OSError."""
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        connecting.connect(str(path))  # a local socket's answer is immediate: EAGAIN says that its backlog is full
    except BaseException:
        connecting.close()
        raise
    return connecting


async def stay_attached(
    path: Path, serve: Callable[[SinkSocket], Awaitable[None]], dropped: Callable[[str], None]
) -> None:
    """Attach to the sfu at `path`, and reattach until cancelled. `serve` must return when the socket is closed."""
    loop = asyncio.get_running_loop()
    backoff = Backoff(_LONGEST_PAUSE, _FIRST_PAUSE)
    waits = False
    while True:
        try:
            sink = await SinkSocket.connect(path, dropped)
        except OSError as error:
            if not waits:
                _log.info("waiting for the sfu at %s: %s", path, error.strerror)
            waits = True
        else:
            _log.info("attached to the sfu at %s", path)
            waits, begun = False, loop.time()
            try:
                await serve(sink)
            finally:
                sink.close()
            _log.warning("the sfu at %s has closed the sink socket", path)
            if loop.time() - begun > _LONGEST_PAUSE:
                backoff.reset()
        await backoff.wait()
