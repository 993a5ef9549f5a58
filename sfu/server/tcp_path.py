"""One accepted ICE-TCP connection (RFC 6544), connected to the node's UDP port through a separate local socket.

To the node it is an ordinary client at that socket's address; neither the engine nor peers know about TCP. Packets that
the far side cannot take in time are dropped (machines/ice/tcp_queue); nothing waits for it.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable

from sfu.engine.contract import Address
from sfu.engine.sockets import MAX_DATAGRAM
from sfu.formats.tcp_framing import Deframer
from sfu.machines.ice.lite import local_ufrag
from sfu.machines.ice.tcp_queue import TcpQueue

_SEND_BUFFER = 64 * 1024
_NOT_SENT_LOW_WATER = 16 * 1024  # small, so that packets wait in our queue, which can drop them
_TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; the socket module has it from Python 3.12 on
_DATAGRAMS_PER_READ = 64
_READ_BYTES = 64 * 1024
_FIRST_SECONDS = 10.0
_SILENT_SECONDS = 35.0  # longer than consent lasts (RFC 7675)


class TcpPath:
    """`address` is its address to the node. Calls `begun` at its first check.

    It closes itself, and then calls `closed`, if either side fails.
    """

    def __init__(
        self,
        connection: socket.socket,
        node: Address,
        counters: Counter[str],
        *,
        begun: Callable[["TcpPath"], None],
        closed: Callable[["TcpPath"], None],
    ) -> None:
        """Take over an accepted connection; raises OSError if the socket towards the node cannot be created."""
        self._loop = asyncio.get_running_loop()
        self._tcp = connection
        self._counters = counters
        self._begun = begun
        self._closed = closed
        self._deframer = Deframer()
        self._queue = TcpQueue()
        self._writing = False
        self._checked = False
        self._heard = True
        family = socket.AF_INET6 if ":" in node[0] else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._udp.setblocking(False)
            self._udp.connect(node)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_WATER)
            self.far_end: Address = connection.getpeername()[:2]
        except OSError:
            self._udp.close()
            raise
        self.address: Address = self._udp.getsockname()[:2]
        self._loop.add_reader(self._tcp.fileno(), self._from_far_end)
        self._loop.add_reader(self._udp.fileno(), self._from_node)
        self._watch = self._loop.call_later(_FIRST_SECONDS, self._look)

    def close(self) -> None:
        """Close both sockets; once."""
        if self._tcp.fileno() < 0:
            return
        self._watch.cancel()
        for entry in (self._tcp, self._udp):
            self._loop.remove_reader(entry.fileno())
        self._loop.remove_writer(self._tcp.fileno())
        self._tcp.close()
        self._udp.close()
        self._count_drops()
        self._closed(self)

    def _look(self) -> None:
        """Close a connection that has been silent for long, or did not begin with a check."""
        if not (self._heard and self._checked):
            self._counters["tcp_silent"] += 1
            self.close()
            return
        self._heard = False
        self._watch = self._loop.call_later(_SILENT_SECONDS, self._look)

    def _from_far_end(self) -> None:
        try:
            data = self._tcp.recv(_READ_BYTES)
            datagrams = self._deframer.feed(data)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ValueError):
            self.close()
            return
        if not data:
            self.close()
            return
        self._heard = True
        for datagram in datagrams:
            if not self._checked and local_ufrag(datagram) is None:
                self._counters["tcp_not_ice"] += 1
                self.close()
                return
            if not self._checked:
                self._checked = True
                self._begun(self)
            try:
                self._udp.send(datagram)
            except OSError:
                self._counters["tcp_dropped_to_node"] += 1

    def _from_node(self) -> None:
        now = time.monotonic_ns()
        for _ in range(_DATAGRAMS_PER_READ):
            try:
                self._queue.put(self._udp.recv(MAX_DATAGRAM), now)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # the node's port has been closed
                self.close()
                return
        if self._writing:
            self._count_drops()
        else:
            self._flush()

    def _count_drops(self) -> None:
        for reason, packets in self._queue.drops.items():
            self._counters[reason.value] += packets
        self._queue.drops.clear()

    def _flush(self) -> None:
        try:
            while data := self._queue.pending(time.monotonic_ns()):
                self._queue.sent(self._tcp.send(data))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        self._count_drops()
        waits = not self._queue.is_empty
        if waits and not self._writing:
            self._loop.add_writer(self._tcp.fileno(), self._flush)
        elif self._writing and not waits:
            self._loop.remove_writer(self._tcp.fileno())
        self._writing = waits
