"""A server controlled by a test: the page's files and REST over aiohttp, signaling over `websockets`.

Every message of the client is decoded with the sfu's own types, so a test fails if the SDK deviates from them.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp.web
import msgspec
import websockets
from websockets.asyncio.server import ServerConnection, serve

import web
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants

M = TypeVar("M", bound=signaling.Message)
Answer = tuple[int, Any] | Callable[[aiohttp.web.Request], tuple[int, Any]]
SECONDS = 30.0
PAGE = web.root()
"""The page as a server serves it: bundled, as `make test` does first, or its sources if they have changed since."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "worker-src 'self'; manifest-src 'self'; connect-src 'self' ws:; require-trusted-types-for 'script'; "
    "trusted-types parley-worker parley-page"
)
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
BLANK = "<!doctype html><meta charset=utf-8><title>test</title>"


class Session:
    """One WebSocket of a client, from the server's side."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self._received: asyncio.Queue[tuple[signaling.ClientMessage, Any]] = asyncio.Queue()
        self.violations: list[str] = []
        self.mute = False
        """True while pings get no answer."""

    async def run(self) -> None:
        """Read until the client disconnects."""
        with contextlib.suppress(websockets.ConnectionClosed):
            async for data in self.socket:
                try:
                    message = signaling.decode_client(data)
                except ValueError as error:
                    self.violations.append(f"{error}: {data!r}")
                    continue
                if isinstance(message, signaling.Ping):
                    if not self.mute:
                        await self.send(signaling.Pong(id=message.id))
                else:
                    self._received.put_nowait((message, json.loads(data)))

    async def send(self, *messages: signaling.ServerMessage) -> None:
        for message in messages:
            await self.socket.send(signaling.encode(message))

    async def expect(self, kind: type[M]) -> M:
        """Return the next message, which must be of this kind."""
        message, _ = await asyncio.wait_for(self._received.get(), SECONDS)
        assert isinstance(message, kind), f"expected {kind.__name__}, got {message}"
        return message

    async def next_of(self, kind: type[M]) -> M:
        """Return the next message of this kind, skipping others."""
        while True:
            message, _ = await asyncio.wait_for(self._received.get(), SECONDS)
            if isinstance(message, kind):
                return message

    async def next_raw(self) -> Any:
        """Return the next message in its wire format."""
        _, raw = await asyncio.wait_for(self._received.get(), SECONDS)
        return raw

    def quiet(self) -> bool:
        return self._received.empty()

    async def welcome(self, **changes: Any) -> signaling.Join:
        """Send the greeting, receive the join and answer it with a room-info."""
        await self.send(signaling.Hello(v=1, versions=(1,), node="test"))
        join = await self.expect(signaling.Join)
        await self.send(room_info(**changes))
        return join


def room_info(**changes: Any) -> signaling.RoomInfo:
    fields: dict[str, Any] = {
        "v": 1,
        "room": "m1",
        "participant": "p1",
        "grants": Grants(),
        "resume": "resume-1",
        "participants": [signaling_values.ParticipantInfo(participant="p1", name="Ada")],
        "tracks": [],
        "recording": signaling_values.RecordingState(active=False),
        "captions": signaling_values.CaptionsState(available=False, reason="run parley models fetch"),
        "opened_at": 1_700_000_000_000,
        "now": 1_700_000_000_000,
    }
    return signaling.RoomInfo(**(fields | changes))


class ScriptedServer:
    """Scripted server. `session()` returns sessions in the order of connections; REST responses are in `answers`."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer] = {}
        self.headers: list[tuple[str, Mapping[str, str]]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.all_sessions: list[Session] = []
        self._sessions: asyncio.Queue[Session] = asyncio.Queue()
        self.http_port = 0
        self.signaling_port = 0
        self.refuse_sockets = False
        self.root = PAGE
        self.away = False
        """Set while files are answered as by a gateway whose server is down."""
        self.files: list[str] = []
        self.extra: dict[str, Path] = {}
        """Files besides the page's, also below the API, by path."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.http_port}"

    @property
    def signaling_url(self) -> str:
        return f"ws://localhost:{self.signaling_port}/?meeting=m1"

    async def session(self) -> Session:
        return await asyncio.wait_for(self._sessions.get(), SECONDS)

    def joins(self) -> list[Any]:
        return [body for method, path, body in self.requests if method == "POST" and path.endswith("/join")]

    async def _signaling(self, socket: ServerConnection) -> None:
        if self.refuse_sockets:
            await socket.close(1013)
            return
        session = Session(socket)
        self.all_sessions.append(session)
        self._sessions.put_nowait(session)
        await session.run()

    async def _rest(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        if request.path in self.extra:
            return aiohttp.web.FileResponse(self.extra[request.path])
        text = await request.text()
        body = json.loads(text) if text else None
        path = request.path.removeprefix("/api/v1")
        self.requests.append((request.method, path, body))
        self.headers.append((path, request.headers))
        answer = self.answers.get((request.method, path))
        if answer is None and path.endswith("/join"):
            answer = (200, self.join_answer())
        if answer is None and path in {"/users/profile", "/csrf-token", "/auth/refresh"}:
            answer = (401, {"code": "not_signed_in", "detail": "Sign in first."})
        if answer is None and path == "/auth/session":
            answer = self._browser_session(request)
        if callable(answer):
            answer = answer(request)
        status, value = answer or (404, {"code": "not_found", "detail": f"There is no {path}."})
        return aiohttp.web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")

    def _browser_session(self, request: aiohttp.web.Request) -> tuple[int, Any]:
        """Return the session that the answers about profile and CSRF token imply."""
        profile, token = (self.answers.get(("GET", path)) for path in ("/users/profile", "/csrf-token"))
        if callable(profile):
            profile = profile(request)
        if profile is not None and profile[0] not in {200, 401}:
            return profile
        user = profile[1] if profile is not None and profile[0] == 200 else None
        if callable(token):
            token = token(request)
        given = token[1]["csrf_token"] if token is not None and token[0] == 200 else None
        return 200, {"user": user, "csrf_token": given or (None if user is None else "t")}

    def join_answer(self, **changes: Any) -> dict[str, Any]:
        return {
            "participant": "p1",
            "token": secrets.token_hex(8),
            "signaling_url": self.signaling_url,
            "ice_servers": [],
            "rejoin_secret": "rejoin-1",
            "participant_token": None,
            "start_muted": False,
        } | changes

    async def _file(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        if self.away:
            return aiohttp.web.Response(status=503)
        if request.path == "/blank":
            return aiohttp.web.Response(text=BLANK, content_type="text/html")
        if request.path == "/health/ready":
            return aiohttp.web.json_response(
                {"status": "degraded", "down": {"nodes": "do not answer: sfu-2", "files": "[Errno 28] no space"}}
            )
        if request.path in self.extra:
            return aiohttp.web.FileResponse(self.extra[request.path], headers={"Cache-Control": "max-age=3600"})
        path = (self.root / request.path.lstrip("/")).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            path = self.root / "index.html"
        self.files.append(f"/{path.relative_to(self.root)}")
        policy = WORKER_POLICY if path.name.startswith("effects-worker") else POLICY
        return aiohttp.web.FileResponse(path, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


@contextlib.asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """Serve on allocated ports until the block ends; violations of the protocol fail it."""
    server = ScriptedServer()
    app = aiohttp.web.Application()
    app.router.add_route("*", "/api/v1/{rest:.*}", server._rest)
    app.router.add_get("/{path:.*}", server._file)
    runner = aiohttp.web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "localhost", 0)
    await site.start()
    addresses: list[Any] = runner.addresses
    server.http_port = addresses[0][1]
    async with serve(server._signaling, "localhost", 0) as sockets:
        server.signaling_port = next(iter(sockets.sockets)).getsockname()[1]
        try:
            yield server
        finally:
            await runner.cleanup()
    violations = [violation for session in server.all_sessions for violation in session.violations]
    assert not violations, violations
