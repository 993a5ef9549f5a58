"""TLS listeners: HTTP/1.1 and 2 by Hypercorn, over connections that this module accepts and bounds.

A connection counts from its first packet, not from the end of its handshake as in Hypercorn's own server. One without a
running request is idle, and is closed to make room (`foundation.connection_table`).
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from prometheus_client import Counter

from foundation import descriptors
from foundation.connection_table import ConnectionTable, Full, host_of
from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_CLOSED = Counter("control_tls_connections_closed_total", "TLS connections closed by the server", ["reason"])
_MOST = 8192
_OF_DESCRIPTORS = 0.25
_HANDSHAKE_SECONDS = 15.0
_REST_SECONDS = 0.5


class _Held:
    """A connection and, after the handshake, its server; from then on the transport owns the socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.serving: asyncio.Task[None] | None = None
        self.is_taken = False


class _Server(TCPServer):
    """Hypercorn's server, reporting when requests are in progress."""

    def __init__(self, held: _Held, table: ConnectionTable[_Held], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held = held
        self._table = table

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            (self._table.idle if event.idle else self._table.busy)(self._held)
        await super().protocol_send(event)


async def serve(
    application: Any,
    config: Config,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    is_gateway: Callable[[str], bool],
) -> None:
    """Serve until `stop`, then finish running requests within `config.graceful_timeout` and close the sockets.

    Connections of an address that `is_gateway` are bounded by the number of all alone.
    """
    listener = _Listener(application, config, is_gateway)
    stopping = asyncio.create_task(stop.wait())
    accepting = [asyncio.create_task(listener.accept(sock)) for sock in sockets]
    try:
        done, _ = await asyncio.wait((stopping, *accepting), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (stopping, *accepting):
            task.cancel()
        await asyncio.gather(stopping, *accepting, return_exceptions=True)
        for sock in sockets:
            sock.close()
        await listener.drain()


class _Listener:
    """State shared by the listening sockets."""

    def __init__(self, application: Any, config: Config, is_gateway: Callable[[str], bool]) -> None:
        self._application = ASGIWrapper(application)
        self._config = config
        self._is_gateway = is_gateway
        self._tls = config.create_ssl_context()
        self._context = WorkerContext(None)
        self._table: ConnectionTable[_Held] = ConnectionTable(descriptors.share(_MOST, _OF_DESCRIPTORS))

    async def accept(self, listening: socket.socket) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                _LOG.warning("cannot accept a connection: %s", describe(error))
                await asyncio.sleep(_REST_SECONDS)  # without descriptors the next attempt would fail at once
                continue
            self._begin(connection, str(address[0]))

    def _begin(self, connection: socket.socket, address: str) -> None:
        held = _Held(connection)
        try:
            idle = self._table.add(held, host_of(address), shares=not self._is_gateway(address))
        except Full:
            _CLOSED.labels("full").inc()
            connection.close()
            return
        held.serving = asyncio.get_running_loop().create_task(self._serve(held))
        held.serving.add_done_callback(lambda serving: self._gone(held, serving))
        if idle is not None and idle.serving is not None:
            _CLOSED.labels("idle").inc()
            idle.serving.cancel()

    async def _serve(self, held: _Held) -> None:
        """Shake hands, then answer requests until the connection ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        held.is_taken = True
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, held.connection, ssl=self._tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except OSError:  # also invalid TLS, and a handshake that takes too long
            _CLOSED.labels("handshake").inc()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await _Server(held, self._table, self._application, loop, self._config, self._context, {}, reader, writer)

    def _gone(self, held: _Held, serving: asyncio.Task[None]) -> None:
        self._table.remove(held)
        if not held.is_taken:
            held.connection.close()
        if not serving.cancelled() and (error := serving.exception()) is not None:
            _LOG.error("a TLS connection failed", exc_info=error)

    async def drain(self) -> None:
        """Wait for running requests, then close the remaining connections."""
        await self._context.terminated.set()
        if left := [held.serving for held in self._table if held.serving is not None]:
            _, late = await asyncio.wait(left, timeout=self._config.graceful_timeout)
            for serving in late:
                serving.cancel()
            await asyncio.gather(*late, return_exceptions=True)
