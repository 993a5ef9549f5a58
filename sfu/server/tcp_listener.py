"""ICE-TCP for clients whose network lets no UDP out: passive candidates (RFC 6544) on the node's addresses."""

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Sequence

from sfu.api.failures import describe
from sfu.engine.contract import Address
from sfu.server.tcp_path import TcpPath

MAX_PATHS = 1024
MAX_PATHS_PER_HOST = 64
_BACKLOG = 128
_ACCEPTS = 16

_log = logging.getLogger(__name__)


class TcpListener:
    """Listens on TCP beside the node's UDP sockets; `far_ends` tells who is behind the address of a path."""

    def __init__(self, addresses: Sequence[Address], port: int | None) -> None:
        """Bind `port` on each of the node's addresses; None takes the number of its UDP port. OSError."""
        self.far_ends: dict[Address, Address] = {}
        self._node = addresses[0]
        self._counters: Counter[str] = Counter()
        self._paths: set[TcpPath] = set()
        self._per_host: Counter[str] = Counter()
        self._sockets: list[socket.socket] = []
        try:
            self._bind(addresses, addresses[0][1] if port is None else port)
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
        """Begin to accept; what happens is counted in `counters`."""
        self._counters = counters
        loop = asyncio.get_running_loop()
        for entry in self._sockets:
            loop.add_reader(entry.fileno(), self._accept, entry)

    def stop(self) -> None:
        """Stop listening and close every path."""
        loop = asyncio.get_running_loop()
        for entry in self._sockets:
            loop.remove_reader(entry.fileno())
        self._close_sockets()
        for path in tuple(self._paths):
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
                    _log.warning("a TCP connection could not be accepted: %s", describe(error))
                return
            host = source[0]
            if len(self._paths) >= MAX_PATHS or self._per_host[host] >= MAX_PATHS_PER_HOST:
                self._counters["tcp_refused"] += 1
                connection.close()
                continue
            self._serve(connection, host)

    def _serve(self, connection: socket.socket, host: str) -> None:
        try:
            path = TcpPath(connection, self._node, self._counters, self._gone)
        except OSError:  # the far side has gone already, or there are no descriptors
            self._counters["tcp_refused"] += 1
            connection.close()
            return
        self._counters["tcp_accepted"] += 1
        self._paths.add(path)
        self._per_host[host] += 1
        self.far_ends[path.address] = path.far_end

    def _gone(self, path: TcpPath) -> None:
        self._paths.discard(path)
        self.far_ends.pop(path.address, None)
        host = path.far_end[0]
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
