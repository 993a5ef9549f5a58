"""The sockets of a UDP port that several workers share, held by the process that starts them.

The process binds them all, so that each keeps its number in the kernel's group while workers stop and start. It
collects the workers' paths, attaches the program that steers by them (machines.port_steering), and tells every worker
the paths of the others, so that each can hand on datagrams that reach it all the same.
"""

import asyncio
import ctypes
import logging
import socket
import struct
import time
from collections.abc import Sequence

from foundation.failures import describe
from sfu.engine.contract import Address
from sfu.engine.sockets import bound
from sfu.machines import port_steering
from sfu.machines.ice.lite import FiveTuple
from sfu.peers.shared_port import PathNews
from sfu.server.port_messages import MAX_LINE_BYTES, RESET, decode_news, encode_news
from sfu.server.port_share import PortShare

_SO_ATTACH_REUSEPORT_CBPF = 51
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog
_PAUSE_SECONDS = 0.02
_WORKLOAD = 0.2
"""The share of the time that may be spent on building programs."""
_LIMITS = (port_steering.MAX_INSTRUCTIONS, 2400, 1200)
"""Numbers of instructions to try; older kernels limit a program to the memory for a socket's options (optmem_max)."""
_MAX_UNREAD_BYTES = 4 << 20

_log = logging.getLogger(__name__)


class PortGroup:
    """Bind `workers` sockets to `port` on each address; 0 takes a free port. Raises OSError."""

    def __init__(self, addresses: Sequence[str], port: int, workers: int) -> None:
        if workers > port_steering.MAX_WORKERS:
            raise OSError(f"{workers} workers cannot share a port; the maximum is {port_steering.MAX_WORKERS}")
        self.addresses = tuple(addresses)
        self.programs = 0
        """The number of programs attached so far."""
        self._families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        self._sockets: list[list[socket.socket]] = [[] for _ in range(workers)]
        self._controls: list[tuple[socket.socket, socket.socket]] = []
        self._inboxes: list[tuple[socket.socket, socket.socket]] = []
        self._owners: list[dict[Address, tuple[int, int]]] = [{} for _ in addresses]
        """The key and the worker of each source, by our address."""
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._changed = set(range(len(addresses)))
        self._wake = asyncio.Event()
        self._limit = 0
        self.is_steering = True
        """False if the kernel accepts no program; then workers hand on datagrams for others."""
        try:
            for address in addresses:
                for some in self._sockets:
                    some.append(bound(address, port, shared=True))
                    port = some[-1].getsockname()[1]
            for _ in range(workers):
                self._controls.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
                self._inboxes.append(_inbox())
        except OSError:
            self.close()
            raise
        self.port = port

    def share(self, worker: int) -> PortShare:
        """Return the share of a worker, which inherits its descriptors under the same numbers."""
        return PortShare(
            worker=worker,
            sockets=tuple(entry.fileno() for entry in self._sockets[worker]),
            control=self._controls[worker][1].fileno(),
            inbox=self._inboxes[worker][1].fileno(),
            others={other: pair[0].fileno() for other, pair in enumerate(self._inboxes) if other != worker},
        )

    async def run(self) -> None:
        """Take announcements from workers and steer, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for worker, (ours, _) in enumerate(self._controls):
                reader, self._writers[worker] = await asyncio.open_connection(sock=ours.dup(), limit=MAX_LINE_BYTES)
                tasks.create_task(self._hear(worker, reader))
            tasks.create_task(self._steer())

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        for some in (*self._sockets, *self._controls, *self._inboxes):
            for entry in some:
                entry.close()

    async def _hear(self, worker: int, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line == RESET:  # a new process, so its predecessor's paths are void
                self._take(worker, [path._replace(came=False) for path in self.known() if path.worker == worker])
                self._send(worker, RESET + encode_news([path for path in self.known() if path.worker != worker]))
                continue
            if line == b"\n":
                continue
            try:
                self._take(worker, decode_news(line))
            except ValueError as error:  # an unfinished line from a worker that was killed
                _log.warning("worker %d: %s", worker + 1, describe(error))

    def _take(self, worker: int, news: Sequence[PathNews]) -> None:
        told = [PathNews(worker, came, path) for _, came, path in news if 0 <= path.local < len(self._owners)]
        for _, came, (source, local) in told:
            owners = self._owners[local]
            if came:
                owners[source] = (port_steering.key_of(source), worker)
            elif source in owners and owners[source][1] == worker:
                del owners[source]
            self._changed.add(local)
        lines = encode_news(told)
        for other in self._writers:
            if other != worker:
                self._send(other, lines)
        self._wake.set()

    def _send(self, worker: int, lines: bytes) -> None:
        """Send news to a worker; one that does not read (it hangs, or is down) misses it until it restarts."""
        writer = self._writers[worker]
        if lines and writer.transport.get_write_buffer_size() < _MAX_UNREAD_BYTES:
            writer.write(lines)

    def known(self) -> list[PathNews]:
        """Return announcements of all paths."""
        return [
            PathNews(worker, True, FiveTuple(source, local))
            for local, owners in enumerate(self._owners)
            for source, (_, worker) in owners.items()
        ]

    async def _steer(self) -> None:
        """Attach new programs: for the first change at once, for changes shortly after together."""
        while True:
            self._wake.clear()
            begun = time.monotonic()
            for local in sorted(self._changed):
                self._attach(local)
            self._changed.clear()
            await asyncio.sleep(max(_PAUSE_SECONDS, (time.monotonic() - begun) / _WORKLOAD))
            if not self._changed:
                await self._wake.wait()

    def _attach(self, local: int) -> None:
        while self._limit < len(_LIMITS):
            owners = list(self._owners[local].values())
            made = port_steering.program(self._families[local], owners, _LIMITS[self._limit])
            buffer = ctypes.create_string_buffer(made, len(made))
            header = _PROGRAM.pack(len(made) // port_steering.INSTRUCTION_BYTES, ctypes.addressof(buffer))
            try:
                self._sockets[0][local].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, header)
                self.programs += 1
                return
            except OSError as error:
                self._limit += 1
                if self._limit == len(_LIMITS):
                    self.is_steering = False
                    _log.warning("the shared port is not steered; workers hand datagrams on: %s", describe(error))


def _inbox() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for entry in pair:
        entry.setblocking(False)
        entry.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return pair
