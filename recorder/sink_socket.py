"""A sink's end of the sfu's SEQPACKET socket: one record a message, in batches, never blocking."""

import asyncio
import socket
from pathlib import Path
from typing import Self

from recorder import metrics
from sfu.api.sink_records import MAX_RECORD_BYTES, AnyControl, encode

_BATCH = 256
_RECEIVE_BUFFER = 4 << 20


class SinkSocket:
    """An attachment. The sfu drops what a sink does not read in time, so `receive` should be called again soon."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Attach to the sfu at `path`; raises OSError."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connecting.setblocking(False)
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            connecting.connect(str(path))  # a local socket's answer is immediate: EAGAIN says that its backlog is full
        except BaseException:
            connecting.close()
            raise
        return cls(connecting)

    def close(self) -> None:
        """Detach."""
        self._socket.close()

    async def receive(self) -> list[bytes]:
        """Wait for records and return up to 256; none when the sfu has closed the socket."""
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

    def send(self, record: AnyControl) -> bool:
        """Send a record; False, and counted, when the sfu does not take it now, or is gone, which `receive` tells."""
        try:
            self._socket.send(encode(record))
        except BlockingIOError:
            metrics.DROPPED_RECORDS.labels("send_full").inc()
            return False
        except (BrokenPipeError, ConnectionResetError):
            metrics.DROPPED_RECORDS.labels("send_closed").inc()
            return False
        return True

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)
