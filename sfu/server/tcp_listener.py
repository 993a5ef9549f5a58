"""ICE-TCP for clients whose network blocks UDP: passive candidates (RFC 6544) on the node's addresses.

Connections are bounded (api/connection_table); a connection that has not sent a check counts as idle and gives way to
newcomers.
"""

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Sequence

from foundation import descriptors
from foundation.connection_table import ConnectionTable, Full, host_of
from foundation.failures import describe
from sfu.engine.contract import Address
from sfu.server.tcp_path import TcpPath

MAX_PATHS = 1024
MAX_PATHS_PER_HOST = 64
_OF_DESCRIPTORS = 0.25  # each path needs two; the rest is for signaling and other uses
_REST_SECONDS = 0.5
_BACKLOG = 128
_ACCEPTS = 16

_log = logging.getLogger(__name__)


class TcpListener:
    """Listens on TCP beside the node's UDP sockets; `far_ends` maps a path's address to the client behind it."""

    def __init__(self, addresses: Sequence[Address], port: int) -> None:
        """Bind `port` on each of the node's addresses; for 0 the system chooses one. Raises OSError."""
        self.far_ends: dict[Address, Address] = {}
        self._node = addresses[0]
        self._counters: Counter[str] = Counter()
        self._paths: ConnectionTable[TcpPath] = ConnectionTable(
            descriptors.share(MAX_PATHS, _OF_DESCRIPTORS), MAX_PATHS_PER_HOST
        )
        self._resting: set[asyncio.TimerHandle] = set()
        self._sockets: list[socket.socket] = []
        try:
            self._bind(addresses, port)
        except OSError:
            self._close_sockets()
            raise
        self.addresses: tuple[Address, ...] = tuple(entry.getsockname()[:2] for entry in self._sockets)

    def _bind(self, addresses: Sequence[Address], port: int) -> None:
        for host, _ in addresses:
            entry = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
            )
            entry.setblocking(False)
            self._sockets.append(entry)
            port = entry.getsockname()[1]

    def start(self, counters: Counter[str]) -> None:
        """Start accepting; events are counted in `counters`."""
        self._counters = counters
        loop = asyncio.get_running_loop()
        for entry in self._sockets:
            loop.add_reader(entry.fileno(), self._accept, entry)

    def stop(self) -> None:
        """Stop listening and close every path."""
        loop = asyncio.get_running_loop()
        for timer in self._resting:
            timer.cancel()
        for entry in self._sockets:
            loop.remove_reader(entry.fileno())
        self._close_sockets()
        for path in self._paths:
            path.close()

    def _close_sockets(self) -> None:
        for entry in self._sockets:
            entry.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                connection, source = listening.accept()
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED):
                    self._rest(listening, error)
                return
            self._serve(connection, host_of(source[0]))

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Pause accepting, since without descriptors the next try would fail at once."""
        _log.warning("a TCP connection could not be accepted: %s", describe(error))
        self._counters["tcp_accept_failed"] += 1
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())

        def again() -> None:
            self._resting.discard(timer)
            loop.add_reader(listening.fileno(), self._accept, listening)

        timer = loop.call_later(_REST_SECONDS, again)
        self._resting.add(timer)

    def _serve(self, connection: socket.socket, host: str) -> None:
        try:
            path = TcpPath(connection, self._node, self._counters, begun=self._paths.busy, closed=self._gone)
        except OSError:  # the far side has already closed, or there are no descriptors
            self._counters["tcp_refused"] += 1
            connection.close()
            return
        try:
            idle = self._paths.add(path, host)
        except Full:
            self._counters["tcp_refused"] += 1
            path.close()
            return
        self.far_ends[path.address] = path.far_end
        self._counters["tcp_accepted"] += 1
        if idle is not None:
            self._counters["tcp_idle_closed"] += 1
            idle.close()

    def _gone(self, path: TcpPath) -> None:
        self._paths.remove(path)
        self.far_ends.pop(path.address, None)
