"""Limits on connections and requests, around any ASGI server.

As ASGI middleware, this module knows which connections are serving a request; a periodic sweep checks the others. A
connection without a request has 30 s to send a complete head. A request body that stalls, or a response that the client
stops reading, ends the connection. Connections are limited in total and per address: the one idle longest is closed
first, a busy one never. Heads that the server accepts but another parser could read differently are rejected (RFC 9112,
section 11.2).
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import Counter

from control.http.asgi import Message, Receive, Scope, Send
from control.problem import Problem, document
from foundation import descriptors
from foundation.connection_table import host_of

HEAD_SECONDS = 30.0
STALLED_SECONDS = 120.0
_SWEEP_SECONDS = 0.2
_MOST = 8192
_OF_DESCRIPTORS = 0.5
_SHARE_OF_ONE = 4
_CLOSED = Counter(
    "parley_control_http_connections_closed_total", "Connections closed by the server, by reason", ["reason"]
)

_Key = tuple[Any, ...]
"""Addresses of both ends of a connection, in the form of ASGI and asyncio."""


class Connection(Protocol):
    """State of an open connection."""

    transport: asyncio.Transport


@dataclass(slots=True)
class _Exchange:
    """A running request, with the times since when it has been waiting to receive from or send to its client."""

    receiving: float | None = None
    sending: float | None = None

    def has_stalled(self, now: float) -> bool:
        return any(since is not None and now - since > STALLED_SECONDS for since in (self.receiving, self.sending))


class Exchanges:
    """Middleware for one server, and the limits on its connections.

    An address that `is_gateway` serves many clients, so only the total limit applies to it.
    """

    def __init__(self, application: Any, is_gateway: Callable[[str], bool]) -> None:
        self._application = application
        self._is_gateway = is_gateway
        self._most = descriptors.share(_MOST, _OF_DESCRIPTORS)
        self._most_of_one = max(1, self._most // _SHARE_OF_ONE)
        self._under_way: dict[_Key, _Exchange] = {}
        self._of_host: Tally[str] = Tally()
        self._idle_since: dict[_Key, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["client"] or ("", 0)
        key, host = (*client, *(scope["server"] or ())), self._host(client[0])
        exchange = self._under_way[key] = _Exchange()
        self._of_host[host] += 1
        self._idle_since.pop(key, None)
        try:
            self._admit(scope, host)
            if scope["type"] == "http":
                receive, send = _noting_receive(exchange, receive), _noting_send(exchange, send)
            await self._application(scope, receive, send)
        except _Refused as refused:
            _CLOSED.labels(refused.code).inc()
            await _refuse(scope, send, refused)
        finally:
            self._of_host[host] -= 1
            if not self._of_host[host]:
                del self._of_host[host]
            if self._under_way.get(key) is exchange:  # the next request of the connection may have begun
                del self._under_way[key]

    def _admit(self, scope: Scope, host: str) -> None:
        if len(self._under_way) > self._most or (host and self._of_host[host] > self._most_of_one):
            raise _Refused(503, "full", "Too many requests are running.")
        if (fault := ambiguity(scope)) is not None:
            raise _Refused(400, "malformed", fault)

    async def watch(self, connections: Collection[Connection]) -> None:
        """Close stalled, silent and surplus connections, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._sweep([one.transport for one in connections], loop.time())
            await asyncio.sleep(_SWEEP_SECONDS)

    def _sweep(self, transports: list[asyncio.Transport], now: float) -> None:
        idle: dict[asyncio.Transport, float] = {}
        since_of = self._idle_since
        self._idle_since = {}
        for transport in transports:
            key = _key_of(transport)
            exchange = self._under_way.get(key)
            if exchange is None:
                self._idle_since[key] = idle[transport] = since_of.get(key, now)
            elif exchange.has_stalled(now):
                _close(transport, "stalled")
        for transport, since in idle.items():
            is_taking = transport.get_write_buffer_size() > 0  # the client is still reading the last response
            if now - since > (STALLED_SECONDS if is_taking else HEAD_SECONDS):
                _close(transport, "stalled" if is_taking else "silent")
        if len(transports) > self._most_of_one:
            for transport in self._superfluous(transports, sorted(idle, key=idle.__getitem__)):
                _close(transport, "idle")

    def _superfluous(
        self, transports: list[asyncio.Transport], idle: list[asyncio.Transport]
    ) -> Iterator[asyncio.Transport]:
        """Yield the `idle` connections to close, longest idle first, until the rest are within the limits."""
        hosts = {transport: self._host(_address_of(transport)) for transport in transports}
        counts = Tally(hosts.values())
        beyond = len(transports) - self._most
        for transport in idle:
            host = hosts[transport]
            if beyond > 0 or (host and counts[host] > self._most_of_one):
                beyond -= 1
                counts[host] -= 1
                yield transport

    def _host(self, address: str) -> str:
        """Return the host that a connection counts against; empty for a gateway."""
        return "" if self._is_gateway(address) else host_of(address)


class _Refused(Problem):
    """A request rejected before the application sees it; its connection is closed."""


def ambiguity(scope: Scope) -> str | None:
    """Return why a head that the server accepted is ambiguous or unsupported, or None if it is neither."""
    names = {name for name, _ in scope["headers"]}
    if scope["http_version"] not in {"1.0", "1.1"} or scope.get("method") == "CONNECT":
        return "This HTTP version or method is not supported."
    if names >= {b"content-length", b"transfer-encoding"}:
        return "The request has both Content-Length and Transfer-Encoding."
    if scope["http_version"] == "1.0" and b"transfer-encoding" in names:
        return "HTTP/1.0 has no Transfer-Encoding."
    if scope["type"] == "websocket" and not names.isdisjoint({b"content-length", b"transfer-encoding"}):
        return "An upgrade request must not have a body."
    return None


async def _refuse(scope: Scope, send: Send, refused: _Refused) -> None:
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    body = document(refused.status, refused.code, refused.detail)
    fields = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": fields})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})


def _noting_receive(exchange: _Exchange, receive: Receive) -> Receive:
    more = True

    async def noting() -> Message:
        nonlocal more
        if more:  # otherwise the application waits for the client to disconnect
            exchange.receiving = asyncio.get_running_loop().time()
        message = await receive()
        exchange.receiving = None
        more = bool(message.get("more_body", False))
        return message

    return noting


def _noting_send(exchange: _Exchange, send: Send) -> Send:
    async def noting(message: Message) -> None:
        exchange.sending = asyncio.get_running_loop().time()
        await send(message)
        exchange.sending = None

    return noting


def _address_of(transport: asyncio.Transport) -> str:
    return str((transport.get_extra_info("peername") or ("",))[0])


def _key_of(transport: asyncio.Transport) -> _Key:
    peer, own = transport.get_extra_info("peername") or (), transport.get_extra_info("sockname") or ()
    return (*peer[:2], *own[:2])


def _close(transport: asyncio.Transport, reason: str) -> None:
    """Close at once. Flushing the send buffer first would let the client keep the connection open."""
    _CLOSED.labels(reason).inc()
    transport.abort()
