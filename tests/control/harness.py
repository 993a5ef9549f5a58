"""Callers, a node and a running control process for the tests."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from control.config import ControlConfig
from control.main import Addresses, run
from control.runtime_settings import RuntimeSettings

NODE_SECRET = "node-secret-of-the-tests"
PASSWORD = "correct horse battery"


@dataclass
class Node:
    """A stand-in for an sfu: a real HTTP and WebSocket server that records requests and answers them."""

    url: str = ""
    signaling: str = ""
    desired: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    chats: list[dict[str, Any]] = field(default_factory=list)
    acts: list[dict[str, Any]] = field(default_factory=list)
    answer: str = "v=0\r\n"
    live: list[str] | None = field(default_factory=list)
    closed_with: asyncio.Future[int] | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_version(self, version: int) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                for state in self.desired:
                    if state["version"] >= version:
                        return state
                self.arrived.clear()
                await self.arrived.wait()


@dataclass
class Server:
    config: ControlConfig
    addresses: Addresses

    @property
    def url(self) -> str:
        return f"http://{self.addresses.http[0]}"

    @property
    def internal(self) -> str:
        return f"http://{self.addresses.internal}"


@contextlib.asynccontextmanager
async def serving(config: ControlConfig, runtime: RuntimeSettings | None = None) -> AsyncIterator[Server]:
    ready = asyncio.Event()
    addresses = Addresses()
    task = asyncio.create_task(run(config, ready.set, addresses, runtime))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    waiting.cancel()
    if task.done():
        task.result()
    assert ready.is_set()
    yield Server(config, addresses)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@dataclass
class Client:
    """A caller with its credentials. `call` returns status and body, and checks that refusals are problem+json."""

    session: aiohttp.ClientSession
    server: Server
    headers: dict[str, str] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.session.request(
            method, self.server.url + path, json=body, headers={**self.headers, **headers}
        ) as answer:
            content = await answer.read()
            if answer.status >= 400 and not path.startswith("/health"):
                assert answer.content_type == "application/problem+json", (answer.status, content)
            return answer.status, await answer.json() if "json" in answer.content_type and content else content

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, result = await self.call(method, path, body, **headers)
        assert status < 300, (status, result)
        return result

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        status, result = await self.call(method, path, body, **headers)
        assert status >= 400, (status, result)
        return status, result["code"]


class People:
    """Factory of callers: guests, and accounts signed in with tokens."""

    def __init__(self, session: aiohttp.ClientSession, server: Server) -> None:
        self._session = session
        self._server = server

    def nobody(self) -> Client:
        return Client(self._session, self._server)

    def bearer(self, token: str) -> Client:
        return Client(self._session, self._server, {"Authorization": f"Bearer {token}"})

    async def user(self, name: str) -> Client:
        body = {"username": name, "password": PASSWORD, "mode": "token"}
        signed_in = await self.nobody().ok("POST", "/api/v1/auth/register", body)
        client = self.bearer(signed_in["access_token"])
        client.user = signed_in["user"]
        return client


async def report(client: Client, *facts: dict[str, Any], n: int, boot: str = "b1", node: str = "sfu-1") -> Any:
    """Report a batch of facts like a node does."""
    batch = {"node": node, "boot": boot, "n": n, "facts": list(facts)}
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    url = f"{client.server.internal}/internal/v1/facts"
    async with client.session.post(url, json=batch, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def come_in(client: Client, meeting: str, *participants: str) -> None:
    """Report, like a node does, that participants are in a meeting's room."""
    fact = {"kind": "participant_joined", "room": meeting, "at": 1, "name": "x"}
    facts = [{**fact, "participant": one} for one in participants]
    await report(client, *facts, n=1, boot=secrets.token_hex(8))
