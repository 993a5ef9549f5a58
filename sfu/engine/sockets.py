"""UDP sockets of a node: one per local address, all on one port; counts datagrams that could not be sent, by reason.

Receive times are the kernel's (SO_TIMESTAMPNS), mapped to CLOCK_MONOTONIC, so that a busy loop is never mistaken for
congestion. Runs of equally long datagrams to one destination are sent in one call with segmentation offload
(UDP_SEGMENT, Linux 4.18); if the kernel refuses that for a destination, they are sent singly. An error loses only that
destination's datagrams.
"""

import contextlib
import errno
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sfu.engine.contract import Address, Datagram, Drop, Outgoing

RECEIVE_BUFFER_BYTES = 40 << 20
"""Half a second of a full load, during which the process may not run. The kernel doubles it; a packet takes 2.3 KB."""
SEND_BUFFER_BYTES = 16 << 20
MAX_DATAGRAM = 2048
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the socket module does not name these
_SO_RXQ_OVFL = 40
_SO_MEMINFO = 55
_IP_RECVTOS = 13
_IPV6_RECVTCLASS, _IPV6_TCLASS = 66, 67
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_UDP_SEGMENT, _UDP_GRO = 103, 104  # linux/udp.h
_TIMESPEC = struct.Struct("@qq")
_DROPS = struct.Struct("@I")
_MEMINFO = struct.Struct("@9I")
_TRAFFIC_CLASS = struct.Struct("@i")
_ANCILLARY_BYTES = sum(socket.CMSG_SPACE(entry.size) for entry in (_TIMESPEC, _DROPS, _TRAFFIC_CLASS))
_MARKED = {(socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, _IPV6_TCLASS)}
_SEGMENT = struct.Struct("@H")
_MAX_SEGMENTS = 64
_MAX_RUN_BYTES = 65_000
_MAX_REFUSALS = 4096
_MAX_CLOCK_DIFFERENCE = 1_000_000_000


MAX_SOCKETS = 64
"""The maximum number of sockets, including the node's own."""


class ReceiveBuffers(NamedTuple):
    """The bytes waiting to be read, as the kernel counts them, the size of the buffers, and the datagrams dropped since
    the start.
    """

    held: int
    room: int
    dropped: int


class Sockets:
    """Non-blocking sockets; the `local` of a datagram is an index into `addresses`.

    `open` adds sockets with other ports after those of the node's port; their `local` is reused after `shut`. `marks`
    are the numbers of datagrams received here, by the ECN bits of their IP header (RFC 3168).
    """

    def __init__(self, addresses: Sequence[str], port: int, descriptors: Sequence[int] = ()) -> None:
        """Bind `port` on each IP literal; 0 takes a port that is free on all of them. Raises OSError if one cannot be
        bound.

        `descriptors`, if given, are used instead: sockets that are already bound (`bound`).
        """
        self.drops: dict[Drop, int] = {}
        self.marks = [0] * 4
        self.datagrams_out = 0
        self.bytes_out = 0
        self._sockets: list[socket.socket | None] = []
        self._filenos: list[int] = []
        self._dropped: list[int] = []
        self._refusals: dict[Address, None] = {}
        try:
            if descriptors:
                for descriptor in descriptors:
                    self._add(socket.socket(fileno=descriptor))
            else:
                self._bind(addresses, port)
        except OSError:
            self.close()
            raise
        self.addresses: tuple[Address, ...] = tuple(self._name(local) for local in range(len(self._sockets)))

    @property
    def port(self) -> int:
        return self.addresses[0][1]

    def filenos(self) -> list[int]:
        """File descriptors by `local`, -1 where a socket was shut."""
        return self._filenos

    def merge(self) -> None:
        """Let the kernel merge datagrams of one sender that arrive together, on the node's own sockets (UDP_GRO, Linux
        5.0). `receive` cannot take them apart.
        """
        for entry in self._sockets[: len(self.addresses)]:
            if entry is not None:
                with contextlib.suppress(OSError):
                    entry.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)

    def close(self) -> None:
        for entry in self._sockets:
            if entry is not None:
                entry.close()
        self._filenos = [-1] * len(self._sockets)

    def open(self, beside: int, port: int = 0) -> tuple[int, int]:
        """Bind one more socket on the address of socket `beside`; return its `local` and its port.

        Raises OSError if it cannot be bound, or there are MAX_SOCKETS already.
        """
        free = next((local for local, entry in enumerate(self._sockets) if entry is None), len(self._sockets))
        if free >= MAX_SOCKETS:
            raise OSError(errno.EMFILE, "a node has no more sockets")
        entry = bound(self.addresses[beside][0], port)
        self._sockets[free : free + 1] = [entry]
        self._filenos[free : free + 1] = [entry.fileno()]
        self._dropped[free : free + 1] = [0]
        return free, self._name(free)[1]

    def shut(self, local: int) -> None:
        """Close a socket that `open` made."""
        entry = self._sockets[local]
        if local < len(self.addresses) or entry is None:
            raise ValueError(f"socket {local} was not opened")
        entry.close()
        self._sockets[local] = None
        self._filenos[local] = -1

    def receive(self, local: int, limit: int, size: int = MAX_DATAGRAM) -> list[Datagram]:
        """Return up to `limit` datagrams that wait at socket `local`, each cut off at `size` bytes."""
        entry = self._sockets[local]
        if entry is None:
            return []
        receive = entry.recvmsg
        datagrams: list[Datagram] = []
        now = time.monotonic_ns()
        offset = now - time.time_ns()
        for _ in range(limit):
            try:
                data, ancillary, _flags, source = receive(size, _ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._count(_reason(error), 1)
                continue
            arrival, dropped, mark = now, 0, 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
                    seconds, nanoseconds = _TIMESPEC.unpack(value)
                    arrival = _clamp(seconds * 1_000_000_000 + nanoseconds + offset, now)
                elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL and len(value) == _DROPS.size:
                    dropped = max(0, _DROPS.unpack(value)[0] - self._dropped[local])
                    self._dropped[local] += dropped
                elif (level, kind) in _MARKED:
                    mark = value[0 if sys.byteorder == "little" else -1] & 3
            self.marks[mark] += 1
            datagrams.append(Datagram(data, source[:2], local, arrival, dropped))
        return datagrams

    def receive_buffers(self) -> ReceiveBuffers:
        """Return the state of all the sockets' receive buffers together (SO_MEMINFO, Linux 4.12)."""
        held = room = dropped = 0
        for entry in self._sockets:
            if entry is not None:
                size = _MEMINFO.size
                used, limit, *_, drops = _MEMINFO.unpack(entry.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, size))
                held, room, dropped = held + used, room + limit, dropped + drops
        return ReceiveBuffers(held, room, dropped)

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Send in order, with runs in one call; datagrams that cannot be sent are counted in `drops`."""
        run: list[bytes] = []
        run_bytes = size = 0
        last: Outgoing | None = None
        for entry in outgoing:
            data, destination, local = entry
            fits = (
                last is not None
                and destination == last.destination
                and local == last.local
                and len(last.data) == size >= len(data)
                and len(run) < _MAX_SEGMENTS
                and run_bytes + len(data) <= _MAX_RUN_BYTES
            )
            if not fits:
                if last is not None:
                    self._send_run(run, run_bytes, last.destination, last.local)
                run = []
                run_bytes = 0
                size = len(data)
            run.append(data)
            run_bytes += len(data)
            last = entry
        if last is not None:
            self._send_run(run, run_bytes, last.destination, last.local)

    def _bind(self, addresses: Sequence[str], port: int) -> None:
        for address in addresses:
            entry = bound(address, port)
            self._add(entry)
            port = entry.getsockname()[1]

    def _add(self, entry: socket.socket) -> None:
        self._sockets.append(entry)
        self._filenos.append(entry.fileno())
        self._dropped.append(0)

    def _name(self, local: int) -> Address:
        entry = self._sockets[local]
        assert entry is not None
        host, port = entry.getsockname()[:2]
        return host, port

    def _send_run(self, run: list[bytes], run_bytes: int, destination: Address, local: int) -> None:
        entry = self._sockets[local]
        if entry is None:  # shut meanwhile
            self._count(Drop.NO_ADDRESS, len(run))
            return
        if len(run) > 1 and destination not in self._refusals:
            control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT.pack(len(run[0])))]
            try:
                entry.sendmsg(run, control, 0, destination)
            except BlockingIOError:
                self._count(Drop.SEND_BUFFER, len(run))
            except OSError:
                if self._send_singly(entry, run, destination):
                    self._refuse(destination)
            else:
                self.datagrams_out += len(run)
                self.bytes_out += run_bytes
            return
        self._send_singly(entry, run, destination)

    def _send_singly(self, entry: socket.socket, run: list[bytes], destination: Address) -> bool:
        """Return True if all were sent."""
        complete = True
        for data in run:
            try:
                entry.sendto(data, destination)
            except OSError as error:
                self._count(_reason(error), 1)
                complete = False
            else:
                self.datagrams_out += 1
                self.bytes_out += len(data)
        return complete

    def _refuse(self, destination: Address) -> None:
        while len(self._refusals) >= _MAX_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[destination] = None

    def _count(self, reason: Drop, packets: int) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + packets


def bound(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound socket with the node's options, `shared` if others may bind the port too; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    entry = socket.socket(family, socket.SOCK_DGRAM)
    try:
        entry.setblocking(False)
        if family == socket.AF_INET6:
            entry.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            entry.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)
        else:
            entry.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
        _set_buffer(entry, socket.SO_RCVBUF, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        _set_buffer(entry, socket.SO_SNDBUF, _SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
        entry.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        entry.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        if shared:
            entry.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        entry.bind((address, port))
    except OSError:
        entry.close()
        raise
    return entry


def _reason(error: OSError) -> Drop:
    return Drop.SEND_BUFFER if error.errno in (errno.EAGAIN, errno.ENOBUFS) else Drop.SEND_ERROR


def _set_buffer(entry: socket.socket, option: int, forced: int, size: int) -> None:
    """Set the buffer's size, beyond the system's limit if permitted (CAP_NET_ADMIN), else up to it."""
    try:
        entry.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:
        entry.setsockopt(socket.SOL_SOCKET, option, size)


def _clamp(arrival: int, now: int) -> int:
    """Return the arrival on the monotonic clock; a wall clock set between the kernel's reading and ours must not move
    it.
    """
    return arrival if 0 <= now - arrival <= _MAX_CLOCK_DIFFERENCE else now
