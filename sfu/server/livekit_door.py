"""Connections of LiveKit's SDKs: admitted before the WebSocket opens, then served as sessions of the node.

Refusals of the token are answered over HTTP, with statuses that SDKs know. A reconnecting client continues its
participant's session, if that still waits for it.
"""

import asyncio
import functools
import weakref
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from foundation import tracing
from foundation.failures import describe
from sfu.api import signaling
from sfu.api.livekit import LiveKitAdmission, LiveKitUse
from sfu.api.refusal import Code, Refused
from sfu.livekit import parameters
from sfu.livekit.parameters import Parameters
from sfu.livekit.session import LiveKitSession
from sfu.server.attendance import Attendances
from sfu.server.control_client import ControlClient, ControlUnavailable
from sfu.server.driver import Driver
from sfu.server.first_state import FirstState
from sfu.server.key_ring import KeyRing
from sfu.server.signaling_session import SignalingSession


class Visitor(NamedTuple):
    """A client that control has admitted, and the parameters of its connection."""

    admission: LiveKitAdmission
    parameters: Parameters


class LiveKitSocket(SignalingSession):
    """A session whose messages are translated."""

    def __init__(self, number: int, connection: ServerConnection, visitor: Visitor, driver: Driver) -> None:
        super().__init__(number, connection)
        self._driver = driver
        self.visitor = visitor
        self.translator = LiveKitSession(visitor.admission, one_peer=visitor.parameters.join is not None)
        self._socket = connection

    def tell(self, message: signaling.Message, encoded: dict[int, str]) -> bool:
        """Queue the translation of a message; return False if the client is too slow to be kept."""
        kept = all(self.put(response.SerializeToString()) for response in self.translator.tell(message))
        if self.translator.packets:
            packets, self.translator.packets = self.translator.packets, []
            asyncio.get_running_loop().call_soon(self._say_data, packets)
        return kept

    def _say_data(self, packets: list[bytes]) -> None:
        self._driver.node.say_data(self.number, packets, self._driver.now())
        self._driver.flush()

    async def _send(self, item: str | bytes) -> None:
        await self._socket.send(item)


class LiveKitDoor:
    """Admits connections and joins them to the node."""

    def __init__(
        self, driver: Driver, keys: KeyRing, first_state: FirstState, control: ControlClient, attendances: Attendances
    ) -> None:
        self._driver = driver
        self._keys = keys
        self._first_state = first_state
        self._control = control
        self._attendances = attendances
        self._visitors: weakref.WeakKeyDictionary[ServerConnection, Visitor] = weakref.WeakKeyDictionary()

    def serves(self, path: str) -> bool:
        """Return True if a path belongs to LiveKit's protocol."""
        return path in parameters.PATHS or path in parameters.JOIN_REQUEST_PATHS

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the refusal of a request, None if its WebSocket may open."""
        try:
            path, _, query = request.path.partition("?")
            needs_join = path in parameters.JOIN_REQUEST_PATHS
            said = parameters.read(query, request.headers.get("Authorization", ""), needs_join=needs_join)
            use = LiveKitUse(token=said.token, reconnect=said.reconnect)
            admission = await self._control.admit_by_livekit_token(use)
        except ValueError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, f"{error}\n")
        except ControlUnavailable as error:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{describe(error)}\n")
        if admission.status != HTTPStatus.OK:
            return connection.respond(HTTPStatus(admission.status), admission.detail)
        self._visitors[connection] = Visitor(admission, said)
        return None

    def visitor(self, connection: ServerConnection) -> Visitor | None:
        """Return the client admitted on a connection; None for a connection with another protocol."""
        return self._visitors.pop(connection, None)

    async def converse(self, session: LiveKitSocket) -> None:
        """Serve a session until it ends; raises Refused if it must be refused."""
        await self._enter(session)
        while not session.closing:
            await self._next(session)

    async def _enter(self, session: LiveKitSocket) -> None:
        admission, said = session.visitor
        node = self._driver.node
        async with self._keys.admitted(admission.token) as claims:
            if said.reconnect:
                session.translator = self._waiting(claims.room, claims.participant)
                node.resume(session.translator.resume, session.number, self._driver.now())
                self._driver.flush()
                return
            about = {"meeting": claims.room, "participant": claims.participant}
            with tracing.span("sfu.join", tracing.read(claims.traceparent), about, kind="server") as span:
                desired = await self._first_state.of(claims)
                node.join(
                    claims,
                    session.number,
                    self._driver.now(),
                    desired=desired,
                    dialect=session.translator,
                    takes_all=said.takes_all,
                )
        self._attendances.trace(claims.room, claims.participant, span.traceparent)
        self._driver.flush()
        if admission.consents:
            given = dict.fromkeys(admission.consents, True)
            self._handle(session, signaling.Consent(text="livekit", **given))
        if said.join is not None:
            for request in session.translator.opening(said.join):
                self._do(session, functools.partial(session.translator.take, request))

    def _waiting(self, room: str, participant: str) -> LiveKitSession:
        """Return the session that a participant lost; raises Refused if there is none to resume."""
        live = self._driver.node.rooms.get(room)
        known = live.participants.get(participant) if live is not None else None
        if known is None or not isinstance(known.dialect, LiveKitSession):
            raise Refused(Code.UNKNOWN_SESSION, "There is nothing to resume; join again.", fatal=True)
        return known.dialect

    async def _next(self, session: LiveKitSocket) -> None:
        data = await session.receive_data()
        self._do(session, functools.partial(_asked, session.translator, data))

    def _do(self, session: LiveKitSocket, ask: Callable[[], list[signaling.ClientMessage]]) -> None:
        """Carry out a request, and answer it."""
        try:
            asked = ask()
            for reply in session.translator.replies:
                session.put(reply.SerializeToString())
        except Refused as refused:
            session.tell(refused.message(), {})
            return
        for message in asked:
            self._handle(session, message)
        for reply in session.translator.done():
            session.put(reply.SerializeToString())

    def _handle(self, session: LiveKitSocket, message: signaling.ClientMessage) -> None:
        try:
            self._driver.node.handle(session.number, message, self._driver.now())
        except Refused as refused:
            if refused.fatal:
                raise
            session.tell(refused.message(), {})
        self._driver.flush()


def _asked(translator: LiveKitSession, data: str | bytes) -> list[signaling.ClientMessage]:
    if isinstance(data, str):
        raise Refused(Code.BAD_MESSAGE, "Messages must be binary.")
    return translator.receive(data)
