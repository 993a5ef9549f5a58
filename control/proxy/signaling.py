"""Proxy of the signaling WebSocket to the node of its meeting.

It is plain ASGI below Quart, because Quart queues WebSocket messages without a bound. Here, one message per direction
is in transit, so a slow side slows the other down and nothing accumulates. The node's close code and reason reach the
client.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aiohttp
from prometheus_client import Counter, Gauge
from yarl import URL

from control.auth import origins
from control.http import handshakes
from control.http.asgi import Message, Receive, Scope, Send
from control.nodes.node_outages import NodeOutages
from control.nodes.node_socket import NodeSocket
from control.problem import Problem
from control.proxy.routing import LIVEKIT_PATHS, node_for, node_of_livekit
from control.services import Services
from foundation.background import cancel_all
from foundation.failures import describe
from sfu.api.livekit import access_token
from sfu.api.registration import NodeRecord
from sfu.api.signaling import MAX_MESSAGE_BYTES

_log = logging.getLogger(__name__)
_OPEN = Gauge("parley_control_signaling_proxied", "Open signaling sessions through this proxy")
_REFUSED = Counter(
    "parley_control_signaling_refused_total", "Signaling sessions refused before reaching a node", ["reason"]
)
_NODE_AWAY = 1013  # Try Again Later (IANA WebSocket close codes)
_GOING_AWAY = 1001
_POLICY = 1008
_RESTART = 1012
_NODE_LOST = "node_lost"
_SEND_SECONDS = 30.0
_CONNECT_SECONDS = 1.5
_ADMIT_SECONDS = 8.0
"""Timeout in seconds for LiveKit's clients: their handshake waits until control has checked the token for the node."""
_FAREWELL_SECONDS = 1.0


class _NotOpened(Exception):
    """The node's connection was not opened; `status` is that of its refusal, None if it does not answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class SignalingProxy:
    """ASGI application for WebSocket scopes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._closing = asyncio.Event()
        self._outages = NodeOutages("does not accept signaling")

    def close_all(self) -> None:
        """Close every session with 1012 (service restart), so that clients reconnect to another process."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        if first["type"] != "websocket.connect":
            return
        if scope["path"] in LIVEKIT_PATHS:
            await self._bring_livekit(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin")
        # The first message brings a join token; cookies are not read.
        configured = (*self._services.config.public_origins, *self._services.config.cors_origins)
        if origin is not None and not origins.is_allowed(origin, headers.get("host", ""), scope["scheme"], configured):
            await self._refuse(send, "foreign_origin")
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        try:
            further = query.get("node", [""])[0]
            node = await node_for(self._services, query.get("meeting", [""])[0], further=further)
        except Problem as problem:
            await self._refuse(send, problem.code)
            return
        try:
            upstream = await self._open(node, URL(node.signaling_url))
        except _NotOpened as failed:
            if failed.status is None:
                await send({"type": "websocket.accept"})  # browsers see a close code, but no HTTP status
                await send({"type": "websocket.close", "code": _NODE_AWAY, "reason": failed.reason})
            else:
                await send({"type": "websocket.close", "code": _POLICY, "reason": failed.reason})
            return
        await self._carry(node, upstream, receive, send)

    async def _bring_livekit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Proxy a client of LiveKit's protocol from any origin, since it is admitted by a token, not by a cookie."""
        query = scope["query_string"].decode("latin-1")
        authorization = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
        try:
            token = access_token(query, authorization.decode("latin-1"))
            node = await node_of_livekit(self._services, token)
        except Problem as problem:
            _REFUSED.labels(problem.code).inc()
            await handshakes.refuse(scope, send, problem.status, problem.code, problem.detail)
            return
        path = urlunsplit(urlsplit(node.signaling_url)._replace(path=scope["path"], query=query))
        headers = {"Authorization": f"Bearer {token}"}
        try:
            upstream = await self._open(node, URL(path, encoded=True), headers, seconds=_ADMIT_SECONDS)
        except _NotOpened as failed:  # before the handshake is over: a client that sees 503 tries again at once
            await handshakes.refuse(scope, send, failed.status or 503, failed.reason, "the room's node does not answer")
            return
        await self._carry(node, upstream, receive, send)

    async def _open(
        self,
        node: NodeRecord,
        url: URL,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float = _CONNECT_SECONDS,
    ) -> aiohttp.ClientWebSocketResponse:
        """Connect to a node; raises _NotOpened."""
        try:
            async with asyncio.timeout(seconds):
                return await self._services.parts_http.ws_connect(
                    url,
                    headers=headers,
                    max_msg_size=MAX_MESSAGE_BYTES * 4,
                    autoping=True,
                    autoclose=False,
                    compress=0,
                )
        except aiohttp.WSServerHandshakeError as error:
            _REFUSED.labels("by_node").inc()
            _log.info("node %s refused signaling: %s", node.node, error.status)
            raise _NotOpened("refused", error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._outages.note(node.node, describe(error))
            self._services.registry.doubt(node.node)
            reason = "node_unreachable" if self._services.registry.lives(node.node) else _NODE_LOST
            _REFUSED.labels(reason).inc()
            raise _NotOpened(reason) from error

    async def _carry(
        self, node: NodeRecord, upstream: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send
    ) -> None:
        boot = upstream.boot if isinstance(upstream, NodeSocket) else ""
        self._services.registry.proved(node.node, boot)
        self._outages.note(node.node, None)
        await send({"type": "websocket.accept"})
        with _OPEN.track_inprogress():
            await self._relay((node.node, boot), upstream, receive, send)

    async def _relay(
        self, at: tuple[str, str], upstream: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send
    ) -> None:
        """Relay messages both ways until one side closes or the node is lost, then close the other side.

        `at` is the node and the process that accepted the connection. If another process succeeds it, the session is
        lost.
        """
        node, boot = at
        up = asyncio.create_task(_client_to_node(upstream, receive))
        down = asyncio.create_task(_node_to_client(upstream, send))
        closing = asyncio.create_task(self._closing.wait())
        lost = asyncio.create_task(self._services.registry.gone(node, boot))
        tasks = (up, down, closing, lost)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if down.done():
                code, reason = down.result()
                if reason == _NODE_LOST:
                    self._services.registry.doubt(node)
                await send({"type": "websocket.close", "code": code, "reason": reason})
            elif up.done():
                await upstream.close(code=up.result())
            elif lost.done():
                _log.warning("node %s is lost; closing one of its sessions", node)
                await send({"type": "websocket.close", "code": _GOING_AWAY, "reason": _NODE_LOST})
            else:
                await send({"type": "websocket.close", "code": _RESTART, "reason": "restart"})
        except (ConnectionError, TimeoutError) as error:
            _log.info("a signaling session failed: %s", describe(error))
        finally:
            await cancel_all(tasks)
            with contextlib.suppress(TimeoutError):  # a lost node does not answer
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await upstream.close(code=_GOING_AWAY)

    async def _refuse(self, send: Send, reason: str) -> None:
        """Close before accepting, which answers the handshake with 403."""
        _REFUSED.labels(reason).inc()
        await send({"type": "websocket.close", "code": _POLICY, "reason": reason})


async def _client_to_node(upstream: aiohttp.ClientWebSocketResponse, receive: Receive) -> int:
    """Return the code to close the node's side with, whichever one the client used."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return _GOING_AWAY
        text, data = message.get("text"), message.get("bytes")
        async with asyncio.timeout(_SEND_SECONDS):
            if text is not None:
                await upstream.send_str(text)
            elif data is not None:
                await upstream.send_bytes(data)


async def _node_to_client(upstream: aiohttp.ClientWebSocketResponse, send: Send) -> tuple[int, str]:
    """Return the node's close code and reason."""
    while True:
        message = await upstream.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                outgoing: Message = {"type": "websocket.send", "text": message.data}
            case aiohttp.WSMsgType.BINARY:
                outgoing = {"type": "websocket.send", "bytes": message.data}
            case aiohttp.WSMsgType.CLOSE:
                return _closing(message.data), str(message.extra or "")
            case _:
                return _GOING_AWAY, _NODE_LOST
        async with asyncio.timeout(_SEND_SECONDS):
            await send(outgoing)


def _closing(code: int | None) -> int:
    """Return a code that may be sent: 1005 and 1006 may not (RFC 6455, section 7.4.1)."""
    return code if code and code not in {1005, 1006} else 1000
