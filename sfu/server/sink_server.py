"""The sink socket: AF_UNIX SOCK_SEQPACKET, one record per message. Sending never waits: records that a sink does not
read stay in its bounded queue.
"""

import asyncio
import logging
import socket
import stat
from pathlib import Path

from sfu.api import sink_records
from sfu.api.sink_records import MAX_RECORD_BYTES, SinkHello
from sfu.peers.sinks.sinks import Sink
from sfu.server.driver import Driver

MAX_SINKS = 32
"""Recorder, inference, and one for each room that is broadcast."""
SEND_BUFFER_BYTES = 4 * 1024 * 1024
_RECORDS_PER_READ = 64
_RECORDS_PER_WRITE = 512
_GATHER_SECONDS = 0.01
"""The time for which records are collected, since each write may wake the sink, which costs more than the write."""

_log = logging.getLogger(__name__)


class _Connection:
    """A connected socket; `sink` is set by its hello."""

    def __init__(self, entry: socket.socket) -> None:
        self.socket = entry
        self.sink: Sink | None = None
        self.waiting = False
        self.gathering: asyncio.TimerHandle | None = None


class SinkServer:
    """Accepts sinks and moves records between their sockets and the node."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._connections: dict[int, _Connection] = {}
        self._listener: socket.socket | None = None
        self._path: Path | None = None

    def start(self, path: Path) -> None:
        """Listen on `path`, readable by this user only; raises OSError if something else listens there."""
        _remove_stale(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            listener.setblocking(False)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(MAX_SINKS)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._path = path
        self._loop.add_reader(listener, self._accept)

    def stop(self) -> None:
        """Send records that fit, then close everything."""
        for connection in list(self._connections.values()):
            if connection.sink is not None:
                self._write(connection)
        if self._listener is not None and self._path is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._path.unlink(missing_ok=True)
        for connection in list(self._connections.values()):
            self._drop(connection, "shutdown")

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            entry, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return
        entry.setblocking(False)
        entry.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if len(self._connections) >= MAX_SINKS:
            _log.warning("refused a sink: %d are already connected", len(self._connections))
            entry.close()
            return
        connection = _Connection(entry)
        self._connections[entry.fileno()] = connection
        self._loop.add_reader(entry, self._readable, connection)

    def _readable(self, connection: _Connection) -> None:
        for _ in range(_RECORDS_PER_READ):
            try:
                data = connection.socket.recv(MAX_RECORD_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._drop(connection, str(error))
                return
            if not data:
                self._drop(connection, "closed by the sink")
                return
            try:
                self._take(connection, data)
            except ValueError as error:
                self._drop(connection, str(error))
                return
        self._settle()

    def _take(self, connection: _Connection, data: bytes) -> None:
        record = sink_records.decode(data)
        now = self._driver.now()
        if connection.sink is not None:
            self._driver.node.sink_control.handle(connection.sink, record, now)
        elif isinstance(record, SinkHello):
            connection.sink = self._driver.node.sinks.attach(record, now)
            self._driver.node.sink_control.sinks_changed(now)
            _log.info("%s %s attached", record.sink, record.instance)
        else:
            raise ValueError("the first record must be hello")

    def _settle(self) -> None:
        self._driver.node.settle(self._driver.now())
        self._driver.flush()

    def flush(self) -> None:
        """Send the queues in a moment, as far as the sockets accept them."""
        for connection in self._connections.values():
            sink = connection.sink
            if sink is None or connection.waiting or connection.gathering is not None:
                continue
            if len(sink.queue) or sink.superseded or sink.queue.overrun:
                connection.gathering = self._loop.call_later(_GATHER_SECONDS, self._write, connection)

    def _write(self, connection: _Connection) -> None:
        self._gathered(connection)
        sink = connection.sink
        assert sink is not None
        if sink.superseded or sink.queue.overrun:
            self._drop(connection, "superseded" if sink.superseded else "too slow to read its control records")
            return
        for _ in range(_RECORDS_PER_WRITE):
            data = sink.queue.peek()
            if data is None:
                break
            try:
                connection.socket.send(data)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._drop(connection, str(error))
                return
            sink.queue.pop()
        self._watch(connection, len(sink.queue) > 0)

    def _watch(self, connection: _Connection, waiting: bool) -> None:
        if waiting and not connection.waiting:
            self._loop.add_writer(connection.socket, self._writable, connection)
        elif not waiting and connection.waiting:
            self._loop.remove_writer(connection.socket)
        connection.waiting = waiting

    def _gathered(self, connection: _Connection) -> None:
        if connection.gathering is not None:
            connection.gathering.cancel()
            connection.gathering = None

    def _writable(self, connection: _Connection) -> None:
        self._write(connection)

    def _drop(self, connection: _Connection, reason: str) -> None:
        if self._connections.pop(connection.socket.fileno(), None) is None:
            return
        self._gathered(connection)
        self._loop.remove_reader(connection.socket)
        self._loop.remove_writer(connection.socket)
        connection.socket.close()
        sink = connection.sink
        if sink is not None:
            _log.info("%s %s detached: %s", sink.purpose.name.lower(), sink.instance, reason)
            now = self._driver.now()
            self._driver.node.sinks.detach(sink, now)
            self._driver.node.sink_control.sinks_changed(now)
            self._loop.call_soon(self._settle)


def _remove_stale(path: Path) -> None:
    """Remove an earlier process's socket; raises OSError if one is still listening."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(f"another process listens on {path}")
