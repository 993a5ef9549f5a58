"""The connection to the sfu's sink socket (sfu.api.sink_records), made again for ever when it ends."""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

from foundation.backoff import Backoff
from inference.metrics import DROPS
from sfu.api import sink_records
from sfu.api.sink_records import CaptionRecord, SinkHello

_log = logging.getLogger(__name__)

MAX_UNSENT = 1000
_BATCH = 256
_RECEIVE_BUFFER = 4 << 20
_LONGEST_BACKOFF = 5.0


class SinkClient:
    """Receives records and sends captions. Everything runs on the loop's thread."""

    def __init__(
        self,
        path: Path,
        instance: str,
        *,
        received: Callable[[bytes], None],
        connected: Callable[[], None],
        disconnected: Callable[[], None],
    ) -> None:
        self._path = path
        self._instance = instance
        self._received = received
        self._connected = connected
        self._disconnected = disconnected
        self._socket: socket.socket | None = None
        self._closed: asyncio.Future[str] | None = None
        self._unsent: deque[tuple[bytes, bool]] = deque()

    @property
    def attached(self) -> bool:
        """Whether an sfu is at the other end."""
        return self._socket is not None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(_LONGEST_BACKOFF)
        said = False
        while True:
            await backoff.wait()
            try:
                channel = await self._connect()
            except OSError as error:
                if not said:
                    _log.info("waiting for the sfu at %s: %s", self._path, error.strerror)
                    said = True
                continue
            _log.info("attached to the sfu at %s", self._path)
            said = False
            backoff.reset()
            try:
                reason = await self._serve(channel)
            finally:
                self._detach(channel)
            _log.warning("the sfu's sink socket closed: %s", reason)

    def send(self, record: sink_records.AnyRecord) -> None:
        """Send a record as soon as the sfu takes it; dropped without a connection, partial captions first."""
        if self._socket is None:
            DROPS.labels("sfu", "detached").inc()
            return
        partial = isinstance(record, CaptionRecord) and not record.final
        self._unsent.append((sink_records.encode(record), partial))
        if len(self._unsent) > MAX_UNSENT:
            self._shed()
        self._writable()

    async def _connect(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            channel.setblocking(False)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            channel.connect(str(self._path))
        except OSError:
            channel.close()
            raise
        return channel

    async def _serve(self, channel: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        self._socket, self._closed = channel, loop.create_future()
        loop.add_reader(channel, self._readable)
        self.send(SinkHello(sink="inference", instance=self._instance))
        self._connected()
        return await self._closed

    def _detach(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(channel)
        loop.remove_writer(channel)
        channel.close()
        self._socket = None
        self._unsent.clear()
        self._disconnected()

    def _close(self, reason: str) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(reason)

    def _readable(self) -> None:
        assert self._socket is not None
        for _ in range(_BATCH):
            try:
                data = self._socket.recv(sink_records.MAX_RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._close(str(error))
                return
            if not data:
                self._close("end of stream")
                return
            self._received(data)

    def _writable(self) -> None:
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        while self._unsent:
            try:
                self._socket.send(self._unsent[0][0])
            except BlockingIOError:
                loop.add_writer(self._socket, self._writable)
                return
            except OSError as error:
                self._close(str(error))
                break
            self._unsent.popleft()
        loop.remove_writer(self._socket)

    def _shed(self) -> None:
        DROPS.labels("sfu", "full").inc()
        for index, (_, partial) in enumerate(self._unsent):
            if partial:
                del self._unsent[index]
                return
        self._unsent.popleft()
