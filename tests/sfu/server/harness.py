"""A node on loopback and a stand-in for control, for tests of the server."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sfu.api import signaling
from sfu.api.desired_state import DesiredChanges, DesiredPoll, DesiredState
from sfu.api.facts import AnyFact, decode_batch
from sfu.api.join_token import AUDIENCE, Grants, JoinClaims
from sfu.api.stream_key import StreamKeyAdmission, StreamKeyUse
from sfu.rooms.node import Node
from sfu.server.config import SfuConfig
from sfu.server.main import SfuServer

SECRET = "node-secret-of-the-test"


class Control:
    """Stand-in for control: it signs tokens, serves keys and desired states, and collects facts."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.kid = secrets.token_hex(4)
        self.desired: dict[str, DesiredState] = {}
        self.facts: list[AnyFact] = []
        self.batches: list[int] = []
        self.keys_served = 0
        self.facts_status: int | None = None  # the response to facts instead
        self.desired_asked = 0
        self.polls: list[DesiredPoll] = []
        self.answered_at_once = 100  # the number of changed states in one answer
        self.desired_held = asyncio.Event()  # not set: a desired state is answered later, as it was when asked for
        self.desired_held.set()
        self.desired_status: int | None = None  # the response to a request for a desired state instead
        self.stream_keys: Callable[[StreamKeyUse], StreamKeyAdmission] | None = None
        self.stream_keys_asked: list[StreamKeyUse] = []
        self.other_nodes = False  # whether there are any, to place rooms on
        self.evacuations: list[int] = []  # statuses that were answered
        self.evacuation_status = 200
        self.url = ""

    def jwks(self) -> dict[str, Any]:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": "EdDSA", "use": "sig"}]}

    def token(self, room: str, participant: str, **changes: Any) -> str:
        now = int(time.time())
        claims = JoinClaims(
            aud=changes.pop("aud", AUDIENCE),
            jti=changes.pop("jti", secrets.token_hex(8)),
            iat=changes.pop("iat", now),
            exp=changes.pop("exp", now + 60),
            room=room,
            participant=participant,
            name=changes.pop("name", participant.title()),
            user=changes.pop("user", None),
            grants=changes.pop("grants", Grants()),
            ice=changes.pop("ice", ()),
            epoch=changes.pop("epoch", 0),
            returning=changes.pop("returning", False),
        )
        key = changes.pop("key", self.key)
        kid = changes.pop("kid", self.kid)
        assert not changes
        return jwt.encode(msgspec.to_builtins(claims), key, "EdDSA", headers={"kid": kid})

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/internal/v1/keys", self._keys)
        app.router.add_get("/internal/v1/rooms/{room}/desired", self._desired)
        app.router.add_post("/internal/v1/desired-states", self._desired_changes)
        app.router.add_post("/internal/v1/facts", self._facts)
        app.router.add_post("/internal/v1/stream-keys/admit", self._admit)
        app.router.add_post("/internal/v1/nodes/{node}/evacuate", self._evacuate)
        return app

    async def _keys(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        self.keys_served += 1
        return web.json_response(self.jwks())

    async def _desired(self, request: web.Request) -> web.Response:
        self.desired_asked += 1
        desired = self.desired.get(request.match_info["room"])
        await self.desired_held.wait()
        if self.desired_status is not None:
            return web.json_response({}, status=self.desired_status)
        room = request.match_info["room"]
        desired = desired or DesiredState(room=room, version=0)
        return web.Response(body=msgspec.json.encode(desired), content_type="application/json")

    async def _desired_changes(self, request: web.Request) -> web.Response:
        poll = msgspec.json.decode(await request.read(), type=DesiredPoll)
        self.polls.append(poll)
        if self.desired_status == 404:
            return web.json_response({"unknown": list(poll.rooms)})
        if self.desired_status is not None:
            return web.json_response({}, status=self.desired_status)
        known = ((self.desired[room], known) for room, known in poll.rooms.items() if room in self.desired)
        changed = [state for state, known in known if state.version > known.version or state.placement is not None]
        answer = DesiredChanges(changed=changed[: self.answered_at_once], more=len(changed) > self.answered_at_once)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _facts(self, request: web.Request) -> web.Response:
        if self.facts_status is not None:
            return web.json_response({}, status=self.facts_status)
        batch = decode_batch(await request.read())
        if batch.n not in self.batches:
            self.batches.append(batch.n)
            self.facts.extend(batch.facts)
        return web.json_response({"acknowledged": batch.n})

    async def _admit(self, request: web.Request) -> web.Response:
        use = msgspec.json.decode(await request.read(), type=StreamKeyUse)
        self.stream_keys_asked.append(use)
        if self.stream_keys is None:
            return web.json_response({}, status=503)
        return web.Response(body=msgspec.json.encode(self.stream_keys(use)), content_type="application/json")

    async def _evacuate(self, request: web.Request) -> web.Response:
        self.evacuations.append(self.evacuation_status)
        moved = list(self.desired) if self.other_nodes else []
        return web.json_response({"moved": moved}, status=self.evacuation_status)


class Host:
    """A running node with its control."""

    def __init__(self, server: SfuServer, control: Control, sink_socket: Path) -> None:
        self.server = server
        self.control = control
        self.sink_socket = sink_socket
        self.http = f"http://127.0.0.1:{server.http_port}"
        self.signaling_url = f"ws://127.0.0.1:{server.signaling_port}/ws/signaling"

    @property
    def node(self) -> Node:
        return self.server.driver.node

    async def put_desired(self, desired: DesiredState) -> int:
        self.control.desired[desired.room] = desired
        headers = {"Authorization": f"Bearer {SECRET}"}
        url = f"{self.http}/node/v1/rooms/{desired.room}/desired"
        async with (
            aiohttp.ClientSession() as session,
            session.put(url, data=msgspec.json.encode(desired), headers=headers) as response,
        ):
            return response.status

    async def metrics(self) -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.http}/metrics") as response:
            text = await response.text()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}


@asynccontextmanager
async def host(tmp_path: Path, **changes: Any) -> AsyncIterator[Host]:
    """Run a node and its control on ports that the system allocates."""
    control = Control()
    runner = web.AppRunner(control.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    control.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    settings: dict[str, Any] = {
        "node_secret": SECRET,
        "control_url": control.url,
        "udp_port": 0,
        "addresses": ("127.0.0.1",),
        "signaling_port": 0,
        "http_port": 0,
        "sink_socket": tmp_path / "sinks.sock",
    }
    server = SfuServer(SfuConfig(**(settings | changes)))
    await server.start()
    try:
        yield Host(server, control, tmp_path / "sinks.sock")
    finally:
        await server.stop()
        await runner.cleanup()


class Client:
    """A signaling session that keeps its received messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[signaling.ServerMessage] = []
        self._arrived = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self.handlers: list[Callable[[signaling.ServerMessage], Any]] = []

    async def _read(self) -> None:
        while True:
            try:
                data = await self.connection.recv()
            except ConnectionClosed:
                return
            message = signaling.decode_server(data)
            async with self._arrived:
                self.received.append(message)
                self._arrived.notify_all()
            for handler in self.handlers:
                await handler(message)

    async def send(self, message: signaling.Message) -> None:
        await self.connection.send(signaling.encode(message))

    async def until(self, kind: type, check: Callable[[Any], bool] = lambda _: True, seconds: float = 30) -> Any:
        """Return the first message of a kind that passes the check, waiting for it if needed."""

        def find() -> Any:
            return next((m for m in self.received if isinstance(m, kind) and check(m)), None)

        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: find() is not None)
            return find()

    def last(self, kind: type) -> Any:
        return next(message for message in reversed(self.received) if isinstance(message, kind))

    async def closed(self, seconds: float = 30) -> int | None:
        async with asyncio.timeout(seconds):
            await self.connection.wait_closed()
            await self._reader
        return self.connection.close_code

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(self._reader, return_exceptions=True)


@asynccontextmanager
async def client(host: Host, token: str | None, *, resume: str | None = None, v: int = 1) -> AsyncIterator[Client]:
    """Connect and join."""
    connection = await connect(host.signaling_url, compression=None)
    entry = Client(connection)
    try:
        await entry.send(signaling.Join(v=v, token=token, resume=resume))
        yield entry
    finally:
        await entry.close()
