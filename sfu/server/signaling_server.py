"""Signaling over WebSocket (RFC 6455) or another carrier: sessions of the node's participants."""

import asyncio
import itertools
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from foundation import tracing
from sfu.api import signaling
from sfu.api.refusal import Code, Refused
from sfu.api.registration import BOOT_HEADER
from sfu.peers.outbox import SessionClose
from sfu.server.attendance import Attendances
from sfu.server.control_client import ControlClient
from sfu.server.driver import Driver
from sfu.server.first_state import FirstState
from sfu.server.key_ring import KeyRing
from sfu.server.livekit_door import LiveKitDoor, LiveKitSocket
from sfu.server.signaling_session import POLICY_VIOLATION, TRY_AGAIN_LATER, SignalingLink, SignalingSession

_log = logging.getLogger(__name__)
PATH = "/ws/signaling"
MAX_CONNECTIONS = 4000
PING_SECONDS = 10.0
PONG_SECONDS = 10.0
CLOSE_SECONDS = 2.0
_TOO_BIG = 1009


class SignalingServer:
    """Accepts WebSockets and connects them to the node. `refused` counts refusals by code; `process` is name and
    boot.
    """

    def __init__(
        self,
        driver: Driver,
        keys: KeyRing,
        process: tuple[str, str],
        first_state: FirstState,
        control: ControlClient,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._driver = driver
        self._keys = keys
        self._first_state = first_state
        self._hello = signaling.encode(
            signaling.Hello(v=signaling.VERSION, versions=signaling.VERSIONS, node=process[0])
        )
        self._boot = process[1]
        self._sessions: dict[int, SignalingSession] = {}
        self.attendances = Attendances(driver.node)
        self._numbers = itertools.count(1)
        self._server: Server | None = None
        self._livekit = LiveKitDoor(driver, keys, first_state, control, self.attendances)

    def __len__(self) -> int:
        return len(self._sessions)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, over TLS if a context is given, and return the port; raises OSError if it cannot be bound."""
        self.attendances.start()
        self._server = await serve(
            self._accept,
            host,
            port,
            ssl=tls,
            process_request=self._check_request,
            process_response=self._name_process,
            max_size=signaling.MAX_MESSAGE_BYTES,
            max_queue=16,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            compression=None,
            server_header=None,
        )
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Close remaining sessions and stop listening."""
        await self.attendances.stop()
        if self._server is not None:
            self._server.close(code=1012, reason="shutdown")
            await self._server.wait_closed()

    async def _check_request(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path != PATH and not self._livekit.serves(path):
            return connection.respond(HTTPStatus.NOT_FOUND, f"Signaling is at {PATH}.\n")
        if len(self._sessions) >= MAX_CONNECTIONS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
        return None if path == PATH else await self._livekit.admit(connection, request)

    def _name_process(self, _: ServerConnection, __: Request, response: Response) -> None:
        """Tell a proxy which process accepted the connection; after a restart it is a new one under the same name."""
        response.headers[BOOT_HEADER] = self._boot

    def deliver(self, items: Iterable[tuple[int, signaling.Message] | SessionClose]) -> None:
        """Queue messages and closes for their sessions; a message to many is encoded once."""
        encoded: dict[int, str] = {}
        for item in items:
            session = self._sessions.get(item[0])
            if session is None:
                continue
            if isinstance(item, SessionClose):
                session.close(item.code, item.reason)
                continue
            message = item[1]
            if isinstance(message, signaling.Error):
                self.refused[message.code] += 1
            if not session.tell(message, encoded):
                self.refused[Code.SLOW_CLIENT.value] += 1
                session.close(TRY_AGAIN_LATER, Code.SLOW_CLIENT.value)

    async def _accept(self, connection: ServerConnection) -> None:
        """Serve a WebSocket with the protocol of its path."""
        visitor = self._livekit.visitor(connection)
        if visitor is None:
            await self.attend(connection)
        else:
            session = LiveKitSocket(next(self._numbers), connection, visitor, self._driver)
            await self._serve(session, lambda: self._livekit.converse(session))

    async def attend(self, connection: SignalingLink) -> None:
        """Serve a session until it ends."""
        session = SignalingSession(next(self._numbers), connection)
        session.put(self._hello)
        await self._serve(session, lambda: self._converse(session))

    async def _serve(self, session: SignalingSession, converse: Callable[[], Awaitable[None]]) -> None:
        self._sessions[session.number] = session
        writer = asyncio.create_task(session.write())
        try:
            await self._within_rules(session, converse)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == _TOO_BIG:
                self.refused[Code.MESSAGE_TOO_LARGE.value] += 1
        finally:
            self._driver.node.session_lost(session.number, self._driver.now())
            self._driver.flush()
            session.close(1000, "")
            await writer
            del self._sessions[session.number]

    async def _converse(self, session: SignalingSession) -> None:
        await self._join(session, await session.first())
        while not session.closing:
            await self._next(session)

    async def _within_rules(self, session: SignalingSession, converse: Callable[[], Awaitable[None]]) -> None:
        """Exchange messages until the session ends; raises Refused for a fatal refusal."""
        try:
            await converse()
        except Refused as refused:
            self.deliver([(session.number, refused.message())])
            _log.info("refused a signaling session: %s (%s)", refused.code.value, refused.detail)
            later = refused.code is Code.NOT_READY
            session.close(TRY_AGAIN_LATER if later else POLICY_VIOLATION, refused.code.value)

    async def _join(self, session: SignalingSession, message: signaling.Join) -> None:
        node = self._driver.node
        if message.resume is not None:
            node.resume(message.resume, session.number, self._driver.now())
        else:
            await self._enter(session, message.token or "")
        self._driver.flush()

    async def _enter(self, session: SignalingSession, token: str) -> None:
        async with self._keys.admitted(token) as claims:
            about = {"meeting": claims.room, "participant": claims.participant}
            with tracing.span("sfu.join", tracing.read(claims.traceparent), about, kind="server") as span:
                desired = await self._first_state.of(claims)
                self._driver.node.join(claims, session.number, self._driver.now(), desired=desired)
        self.attendances.trace(claims.room, claims.participant, span.traceparent)

    async def _next(self, session: SignalingSession) -> None:
        try:
            message = await session.receive()
            self._driver.node.handle(session.number, message, self._driver.now())
        except Refused as refused:
            if refused.fatal:
                raise
            self.deliver([(session.number, refused.message())])
        self._driver.flush()
