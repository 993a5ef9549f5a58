"""Plain TCP listeners: HTTP/1.1 and WebSockets by uvicorn and httptools (llhttp), with limits that uvicorn lacks.

The head of a request, and the framing between two pieces of a body, are limited in size and time. A stalled body and a
response that nobody reads are abandoned. Requests that two parsers could read differently (RFC 9112, section 11.2) are
refused before anything is done: llhttp refuses most; this module refuses a Transfer-Encoding besides `chunked`, and a
missing or repeated Host. Trailers are dropped, since uvicorn would add them to the headers. Hypercorn serves TLS, and
with it HTTP/2. Connections are bounded in all and by address (`foundation.connection_table`): an idle one is closed to
make room.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

from prometheus_client import Counter
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from control.http.problem import document
from foundation import descriptors
from foundation.connection_table import ConnectionTable, Full, host_of
from sfu.api.signaling import MAX_MESSAGE_BYTES

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
STALLED_SECONDS = 120.0
LINGER_SECONDS = 5.0
_SWEEP_SECONDS = 1.0
_MOST = 8192
_OF_DESCRIPTORS = 0.5
_CLOSED = Counter("control_http_connections_closed_total", "Plain connections closed by the server", ["reason"])


class _State(ServerState):
    """State shared by the connections of a listener. `is_gateway` recognises addresses that stand for many clients."""

    def __init__(self, is_gateway: Callable[[str], bool]) -> None:
        super().__init__()
        self.table: ConnectionTable[asyncio.Transport] = ConnectionTable(descriptors.share(_MOST, _OF_DESCRIPTORS))
        self._is_gateway = is_gateway

    def add(self, transport: asyncio.Transport) -> None:
        """Admit a connection, closing an idle one if needed, or close it."""
        address = str((transport.get_extra_info("peername") or ("",))[0])
        try:
            idle = self.table.add(transport, host_of(address), shares=not self._is_gateway(address))
        except Full:
            _CLOSED.labels("full").inc()
            transport.abort()
            return
        if idle is not None:
            _CLOSED.labels("idle").inc()
            idle.abort()


class SocketProtocol(WebSocketsSansIOProtocol):
    """A connection that became a WebSocket."""

    def __init__(self, *, server_state: _State, **named: Any) -> None:
        super().__init__(server_state=server_state, **named)
        self._table = server_state.table

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.remove(self.transport)
        super().connection_lost(exc)


class PlainProtocol(HttpToolsProtocol):
    """One connection. `due` is its deadline to send more, None while it is being answered."""

    server_state: _State
    transport: asyncio.Transport

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._due: float | None = self.loop.time() + HEAD_SECONDS
        self.taken = (0, self.loop.time())
        self.heard = self.loop.time()
        self._beside_bodies = 0
        self._head_is_read = False
        self._is_over = False

    @property
    def due(self) -> float | None:
        return self._due

    @due.setter
    def due(self, due: float | None) -> None:
        self._due = due
        if due is None:
            self.server_state.table.busy(self.transport)
        else:
            self.server_state.table.idle(self.transport)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        super().connection_made(transport)
        self.server_state.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.table.remove(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self.heard = self.loop.time()
        self._beside_bodies += len(data)
        super().data_received(data)
        if self._beside_bodies > HEAD_BYTES and not self.transport.is_closing():
            self.refuse(431, "head_too_large", "The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_read = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_read:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer. Raising here makes httptools report a parser error, answered with 400."""
        self._head_is_read = True
        self._beside_bodies = 0
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise ValueError("unsupported HTTP version")
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1 and (version == "1.1" or b"host" in names):
            raise ValueError("exactly one Host is required")
        if b"transfer-encoding" in names:
            codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
            if codings != [b"chunked"] or version == "1.0":
                raise ValueError("unsupported Transfer-Encoding")
        if self.parser.should_upgrade() and not {b"content-length", b"transfer-encoding"}.isdisjoint(names):
            raise ValueError("an upgrade with a body")
        super().on_headers_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self.due = None

    def on_body(self, body: bytes) -> None:
        self._beside_bodies = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        unread = self.cycle.more_body and self.cycle.response_complete
        super().on_response_complete()
        now = self.loop.time()
        if not unread:
            self.due = None if self.pipeline or not self.cycle.response_complete else now + HEAD_SECONDS
        else:
            self._linger()

    def handle_websocket_upgrade(self) -> None:
        self.due = None
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "malformed", msg)

    def refuse(self, status: int, reason: str, detail: str) -> None:
        """Answer without the application and close. Behind a request that is being answered, only close."""
        _CLOSED.labels(reason).inc()
        if self.cycle is not None and not self.cycle.response_complete:
            self._is_over = True
            self.transport.close()
            return
        body = document(status, reason, detail)
        head = STATUS_LINE[status] + b"content-type: application/problem+json\r\nconnection: close\r\n"
        head += b"".join(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers)
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self._linger()

    def _linger(self) -> None:
        """Close after the client had time to read: closing while it still sends would destroy the response (RST)."""
        self._is_over = True
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.due = self.loop.time() + LINGER_SECONDS

    def sweep(self, now: float) -> None:
        """Close a connection that sends, or reads, nothing more."""
        if self.due is not None and now > self.due and not self.transport.is_closing():
            if not self._is_over:
                _CLOSED.labels("silent").inc()
            self.transport.close()
        waiting = self.transport.get_write_buffer_size()
        if waiting == 0 or waiting != self.taken[0]:
            self.taken = (waiting, now)
        is_sending = self.due is None and self.cycle.more_body and not self.flow.read_paused
        if now - self.taken[1] > STALLED_SECONDS or (is_sending and now - self.heard > STALLED_SECONDS):
            _CLOSED.labels("stalled").inc()
            self.transport.abort()


async def serve(
    application: Any,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    drain_seconds: float,
    is_gateway: Callable[[str], bool],
) -> None:
    """Serve until `stop`, then finish running requests within `drain_seconds`. Closes the sockets at the end.

    Connections of an address that `is_gateway` are only bounded by the total.
    """
    config = _config(application)
    state = _State(is_gateway)
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: PlainProtocol(config, state, {}), sock=sock, backlog=1024) for sock in sockets
    ]
    ending = asyncio.create_task(stop.wait())
    try:
        while not ending.done():
            state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            for connection in _plain(state):
                connection.sweep(loop.time())
            await asyncio.wait((ending,), timeout=_SWEEP_SECONDS)
        for server in servers:
            server.close()
        await _drain(state, loop.time() + drain_seconds)
    finally:
        ending.cancel()
        for server in servers:
            server.close()
        for one in list(state.connections):
            one.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)


def _config(application: Any) -> Config:
    """Return uvicorn's settings, loaded: no request log, no trusted proxy headers."""
    config = Config(
        application,
        http=PlainProtocol,
        ws=SocketProtocol,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=int(HEAD_SECONDS),
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=20,
        # After this machine or process was suspended, its clients are not late.
        ws_ping_timeout=60,
    )
    config.load()
    return config


def _plain(state: ServerState) -> list[PlainProtocol]:
    return [one for one in state.connections if isinstance(one, PlainProtocol)]


async def _drain(state: ServerState, until: float) -> None:
    """Wait for running requests. Applications close their WebSockets."""
    loop = asyncio.get_running_loop()
    for connection in _plain(state):
        connection.shutdown()
    while loop.time() < until:
        if not state.connections and not state.tasks:
            return
        await asyncio.sleep(0.02)
