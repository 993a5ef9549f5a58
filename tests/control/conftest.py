"""A real PostgreSQL for the session, a separate database for each test, and the real application on real sockets."""

import asyncio
import contextlib
import functools
import json
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import asyncpg
import jsonschema
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from werkzeug.routing import Rule

from control.config import ControlConfig, RateLimits
from control.database import Connection, TracedPool
from control.events.catalogue import KINDS, data_schema
from control.files.images import Images
from control.identity import passwords, tokens
from control.migrations import migrate
from control.store import sessions
from parley.embedded_postgres import EmbeddedPostgres
from sfu.api.registration import NodeRecord
from tests.control.harness import NODE_SECRET, Node, People, Server, serving
from tests.control.restartable import RestartableServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    directory = Path(tempfile.mkdtemp(prefix="pc"))
    cluster = EmbeddedPostgres(data=directory / "data", socket_directory=directory / "s")
    cluster.prepare()
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [*cluster.command(), "-c", "fsync=off", "-c", "max_connections=200"], stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 20
            while not cluster.is_ready():
                assert server.poll() is None and time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.02)
            yield cluster
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)
            shutil.rmtree(directory)


@pytest.fixture(scope="session", autouse=True)
def one_session_per_task() -> Iterator[None]:
    """Fail where a task that holds a session of the pool asks for another: enough of them wait for each other."""
    acquire, holding = TracedPool.acquire, weakref.WeakSet[asyncio.Task[Any]]()

    @contextlib.asynccontextmanager
    async def alone(pool: TracedPool) -> AsyncIterator[Connection]:
        task = asyncio.current_task()
        assert task is not None
        assert task not in holding, "a second session of the pool for one task"
        holding.add(task)
        try:
            async with acquire(pool) as connection:
                yield connection
        finally:
            holding.discard(task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TracedPool, "acquire", alone)
        yield


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords with the least work: at the usual cost, it took a tenth of all these tests' processor time."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = functools.partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "PasswordHasher", lambda **_: hasher())
        yield


@pytest.fixture
def long_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tokens outlast a test of all routes, for which a busy machine needs more than their five minutes."""
    monkeypatch.setattr(tokens, "ACCESS_SECONDS", 3600)
    monkeypatch.setattr(sessions, "PROOF_SECONDS", 3600)


@pytest.fixture
def quick_thumbnails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each upload the same thumbnail, without a process that makes it (see test_media)."""

    async def made(*_: object) -> bytes:
        return b"\xff\xd8"

    monkeypatch.setattr(Images, "thumbnail", made)


@pytest.fixture
def database() -> Iterator[RestartableServer]:
    directory = Path(tempfile.mkdtemp(prefix="pc"))
    server = RestartableServer(directory)
    server.start()
    yield server
    server.stop()
    server.close()
    shutil.rmtree(directory)


@pytest.fixture(scope="session", autouse=True)
def rules_compiled_once() -> Iterator[None]:
    """Cache Werkzeug's compiled rules, which are the same for each application and take half of its start."""
    compiled: dict[tuple[str, bool], Any] = {}
    original = Rule._compile_builder

    def remembered(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, append_unknown)
        if key not in compiled:
            compiled[key] = original(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = remembered
    yield
    Rule._compile_builder = original


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> str:
    """The DSN of a migrated database, shared because creating one per test would cost a checkpoint each."""
    postgres.create_database()
    asyncio.run(migrate(postgres.dsn))
    return postgres.dsn


@pytest_asyncio.fixture
async def dsn(migrated: str) -> AsyncIterator[str]:
    """The same database, emptied, without sessions of earlier tests."""
    connection = await asyncpg.connect(migrated)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await _empty(connection)
    finally:
        await connection.close()
    yield migrated
    await _check_events(migrated)


async def _empty(connection: asyncpg.Connection) -> None:
    """Delete all rows, and start all numbers again.

    TRUNCATE makes new files for 70 tables and 200 indexes, which takes longer than most tests.
    """
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = [row["tablename"] for row in tables if row["tablename"] != "schema_migrations"]
    filled = await connection.fetch(
        " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in names)
    )
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # references are not looked at
        for (name,) in filled:
            await connection.execute(f'DELETE FROM "{name}"')
    await connection.execute("SELECT setval(oid, seqstart, false) FROM pg_sequence JOIN pg_class ON oid = seqrelid")


async def _check_events(dsn: str) -> None:
    """Check the events in the outbox after a test against the schemas of the catalogue."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT DISTINCT kind, topic, payload FROM outbox LIMIT 1000")
    finally:
        await connection.close()
    for kind, topic, payload in rows:
        known = KINDS.get(kind)
        data = json.loads(payload)
        if known is not None and topic == known.topic and "erased" not in data:  # others are made up by tests
            _validator(kind).validate(data)


@functools.cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(data_schema(KINDS[kind]))


@pytest_asyncio.fixture
async def node() -> AsyncIterator[Node]:
    known = Node(closed_with=asyncio.get_running_loop().create_future())

    async def desired(request: aiohttp.web.Request) -> aiohttp.web.Response:
        assert request.headers["Authorization"] == f"Bearer {NODE_SECRET}"
        state = await request.json()
        known.desired.append(state)
        known.arrived.set()
        return aiohttp.web.json_response({"version": state["version"]})

    async def rooms(request: aiohttp.web.Request) -> aiohttp.web.Response:
        if known.live is None:
            return aiohttp.web.Response(status=503)
        return aiohttp.web.json_response({"rooms": [{"room": room, "version": 1} for room in known.live]})

    async def chat(request: aiohttp.web.Request) -> aiohttp.web.Response:
        known.chats.append(await request.json())
        return aiohttp.web.json_response({})

    async def acts(request: aiohttp.web.Request) -> aiohttp.web.Response:
        known.acts.append(await request.json())
        return aiohttp.web.json_response({"found": True})

    async def transports(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"transports": []})

    async def whip(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        known.requests.append((request.method, request.path_qs, await request.read()))
        headers = {"Location": f"{known.url}/whip/room-1/resource-1", "ETag": '"x"', "Content-Type": "application/sdp"}
        response = aiohttp.web.StreamResponse(status=201, headers=headers)
        response.content_length = len(known.answer)
        await response.prepare(request)
        for part in (known.answer[:2], known.answer[2:]):  # in segments, one after the other, as over a network
            await response.write(part.encode())
            await asyncio.sleep(0.02)
        return response

    async def signaling(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"kind":"hello"}')
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4001, message=b"told so")
            elif message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
        assert known.closed_with is not None
        known.closed_with.set_result(socket.close_code or 0)
        return socket

    app = aiohttp.web.Application()
    app.router.add_put("/node/v1/rooms/{room}/desired", desired)
    app.router.add_get("/node/v1/rooms", rooms)
    app.router.add_post("/node/v1/rooms/{room}/chat", chat)
    app.router.add_post("/node/v1/rooms/{room}/acts", acts)
    app.router.add_get("/node/v1/rooms/{room}/transports", transports)
    app.router.add_route("*", "/{role:whip|whep}{rest:.*}", whip)
    app.router.add_get("/", signaling)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    known.url = f"http://127.0.0.1:{port}"
    known.signaling = f"ws://127.0.0.1:{port}/"
    yield known
    await runner.cleanup()


@pytest.fixture
def config(dsn: str, node: Node, tmp_path: Path) -> ControlConfig:
    web = tmp_path / "web"
    (web / "sdk").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html><title>Parley</title>")
    (web / "sdk" / "index.js").write_text("export const x = 1;")
    (web / "__init__.py").write_text("SECRET = 1")
    (web / "assets").mkdir()
    for suffix in ("", ".br", ".gz"):
        (web / "assets" / f"x-1.js{suffix}").write_text(f"export const x = '{suffix}';")
    (web / "assets" / "effects-worker-1.js").write_text("export const x = 1;")
    return ControlConfig(
        database_dsn=dsn,
        data_dir=tmp_path / "data",
        recordings_dir=tmp_path / "recordings",
        node_secret=NODE_SECRET,
        nodes=(NodeRecord(node="sfu-1", signaling_url=node.signaling, http_url=node.url),),
        http_binds=("127.0.0.1:0",),
        internal_bind="127.0.0.1:0",
        registration="open",
        web_root=web,
        limits=RateLimits(account_requests=100_000, address_requests=100_000),
        reconcile_seconds=3600,
        inference_url="http://127.0.0.1:9",
        scim_admin_group="Admins",
        embedded=True,
        drain_seconds=1.0,
    )


@pytest_asyncio.fixture
async def server(config: ControlConfig) -> AsyncIterator[Server]:
    async with serving(config) as running:
        yield running


@pytest_asyncio.fixture
async def people(server: Server) -> AsyncIterator[People]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield People(session, server)
