"""HTTP/3 beside the TCP listeners: Hypercorn's protocol behind an admission check, over UDP sockets.

Hypercorn's own UDP server leaves its sockets open, waits in vain for their connections when it stops, and opens a
connection for anything that looks like an Initial. `sfu.api.quic_door` decides instead who may open one.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, cast

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol.quic import QuicProtocol, _Connection
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr
from prometheus_client import Counter

from sfu.api.quic_door import Outcome, QuicDoor, Verdict

_LOG = logging.getLogger(__name__)
_DECIDED = Counter("control_quic_datagrams_total", "Datagrams of no connection, by outcome", ["outcome"])
_IDLE_SECONDS = 30.0
_MAX_IDS = 20_000
"""Limit of connection ids; an open connection has two to nine."""
_MAX_WAITING = 64
_ANEW_SECONDS = 0.2


class _Arrived(NamedTuple):
    verdict: Verdict
    event: RawData


class _Protocol(QuicProtocol):
    """Hypercorn's protocol, in which the door opens connections."""

    def begin(self, verdict: Verdict) -> None:
        """Open the connection of an admitted datagram."""
        quic = QuicConnection(
            configuration=self.quic_config,
            original_destination_connection_id=verdict.original_destination,
            retry_source_connection_id=verdict.retry_source,
        )
        ids = {verdict.destination, quic.host_cid}
        self.connections.update(dict.fromkeys(ids, _Connection(ids, quic, self.context.single_task_class())))


class _Listener(asyncio.DatagramProtocol):
    """One UDP socket with a bounded queue; excess datagrams are dropped."""

    def __init__(self, application: ASGIWrapper, config: Config) -> None:
        self._application = application
        self._config = config
        self._protocol: _Protocol | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._arrived: asyncio.Queue[_Arrived] = asyncio.Queue(_MAX_WAITING)
        self._door = QuicDoor(QuicConfiguration().supported_versions)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._protocol is None or self._transport is None:
            return
        known = self._protocol.connections
        verdict = self._door.judge(data, addr, known, time.monotonic_ns(), is_full=len(known) > _MAX_IDS)
        if verdict.outcome is not Outcome.KNOWN:
            _DECIDED.labels(verdict.outcome.value).inc()
        if verdict.answer:
            self._transport.sendto(verdict.answer, addr)
        if verdict.is_let_in and not self._arrived.full():
            self._arrived.put_nowait(_Arrived(verdict, RawData(data=data, address=addr)))

    async def run(self) -> None:
        """Serve until cancelled; raises the error of a failed connection."""
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        async with TaskGroup(asyncio.get_running_loop()) as tasks:
            self._protocol = protocol = _Protocol(
                self._application,
                self._config,
                WorkerContext(None),
                tasks,
                ConnectionState({}),
                parse_socket_addr(sock.family, sock.getsockname()),
                self._send,
            )
            protocol.quic_config.idle_timeout = _IDLE_SECONDS
            while True:
                verdict, event = await self._arrived.get()
                if verdict.destination and verdict.destination not in protocol.connections:
                    protocol.begin(verdict)
                await protocol.handle(event)

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData) and self._transport is not None:
            self._transport.sendto(event.data, event.address)


async def serve(application: Any, config: Config, sockets: Sequence[socket.socket]) -> None:
    """Serve until cancelled, then close the sockets."""
    loop = asyncio.get_running_loop()
    wrapped = ASGIWrapper(application)
    async with AsyncExitStack() as stack:
        listeners = []
        for sock in sockets:
            transport, listener = await loop.create_datagram_endpoint(lambda: _Listener(wrapped, config), sock=sock)
            stack.callback(transport.close)
            listeners.append(listener)
        async with asyncio.TaskGroup() as tasks:
            for listener in listeners:
                tasks.create_task(_run(listener))


async def _run(listener: _Listener) -> None:
    while True:
        try:
            await listener.run()
        except Exception as error:
            # Whatever a datagram did to the library: its connections are lost, the next ones are served.
            _LOG.error("restarting HTTP/3 after a failure", exc_info=error)
            await asyncio.sleep(_ANEW_SECONDS)  # an immediate repeat of the error must not spin
