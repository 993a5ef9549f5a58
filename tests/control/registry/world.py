"""Nodes as real HTTP servers, and both registries over them, for the common tests of registries."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import web

from control.registry.etcd import EtcdRegistry
from control.registry.membership import Registry
from control.registry.probe import Probe
from control.registry.static import StaticRegistry
from foundation.etcd import Etcd, EtcdConfig
from sfu.api.desired_state import DesiredState
from sfu.api.registration import NodeLoad, NodeRecord, RoomLoad, RoomLoads, encode_record
from sfu.server.registration import Registration
from tests.support.waiting import eventually

LEASE_SECONDS = 2


class FakeNode:
    """Node that answers with its record until it is killed (no listener) or silent (requests without answers)."""

    def __init__(self, name: str, region: str = "") -> None:
        self.record = NodeRecord(node=name, signaling_url="", http_url="", boot=f"{name}-boot-1", region=region)
        self.silent = False
        self.rooms: list[RoomLoad] = []
        self.told: list[DesiredState] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/node/v1/status", self._status)
        app.router.add_get("/node/v1/rooms", self._rooms)
        app.router.add_get("/node/v1/load", self._load)
        app.router.add_put("/node/v1/rooms/{room}/desired", self._desired)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.change(http_url=f"http://127.0.0.1:{self._port}", signaling_url=f"ws://127.0.0.1:{self._port}/")

    async def kill(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def change(self, **fields: Any) -> None:
        self.record = msgspec.structs.replace(self.record, **fields)

    def load(self, cpu: float, participants: int) -> None:
        self.change(load=NodeLoad(cpu=cpu, participants=participants))

    async def _status(self, _: web.Request) -> web.Response:
        if self.silent:
            await asyncio.sleep(60)
        return web.Response(body=encode_record(self.record), content_type="application/json")

    async def _rooms(self, _: web.Request) -> web.Response:
        return web.json_response({"rooms": []})

    async def _load(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(RoomLoads(rooms=self.rooms)), content_type="application/json")

    async def _desired(self, request: web.Request) -> web.Response:
        self.told.append(msgspec.json.decode(await request.read(), type=DesiredState))
        return web.json_response({"code": "room_not_live"}, status=404)


class World(Protocol):
    """A registry with changing nodes. `cut` ends a node's registration without notice."""

    registry: Registry

    async def join(self, node: FakeNode) -> None: ...

    async def cut(self, node: FakeNode) -> None: ...

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None: ...

    async def refuted(self, node: str) -> None: ...


class _World:
    registry: Registry

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for a condition on the registry; check it at every reported change and periodically."""
        async with asyncio.timeout(seconds):
            while not condition():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self.registry.change().wait()

    async def refuted(self, node: str) -> None:
        """Wait until a node is probed and does not answer, since a recent answer still counts."""
        await eventually(partial(is_refuted, self.registry, node))


async def is_refuted(registry: Registry, node: str) -> bool:
    return not await registry.verify(node)


class StaticWorld(_World):
    """The static list, whose nodes are known from the beginning."""

    def __init__(self, http: aiohttp.ClientSession, nodes: list[FakeNode]) -> None:
        listed = [msgspec.structs.replace(node.record, boot="") for node in nodes]
        self.registry = StaticRegistry(Probe(http, "s"), listed, lease_seconds=LEASE_SECONDS)

    async def join(self, node: FakeNode) -> None:
        await self.until(lambda: self.registry.known()[node.record.node].boot == node.record.boot)

    async def cut(self, node: FakeNode) -> None:
        """A static node is registered nowhere."""


class EtcdWorld(_World):
    """etcd: nodes register as the sfu does."""

    def __init__(self, http: aiohttp.ClientSession, config: EtcdConfig) -> None:
        self._config = replace(config, lease_seconds=LEASE_SECONDS)
        self.registry = EtcdRegistry(Probe(http, "s"), Etcd(self._config), LEASE_SECONDS)
        self._registering: dict[str, tuple[Registration, asyncio.Task[None]]] = {}

    async def join(self, node: FakeNode) -> None:
        registration = Registration(Etcd(self._config), LEASE_SECONDS, lambda: node.record)
        name = node.record.node
        self._registering[name] = (registration, asyncio.create_task(registration.run()))
        await self.until(lambda: self.registry.lives(name) and self.registry.known()[name].boot == node.record.boot)

    async def cut(self, node: FakeNode) -> None:
        registration, task = self._registering.pop(node.record.node)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await registration._etcd.close()

    async def close(self) -> None:
        for registration, task in self._registering.values():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await registration.end()


@contextlib.asynccontextmanager
async def static_world(nodes: list[FakeNode]) -> AsyncIterator[World]:
    async with aiohttp.ClientSession() as http, _running(StaticWorld(http, nodes)) as world:
        yield world


@contextlib.asynccontextmanager
async def etcd_world(config: EtcdConfig) -> AsyncIterator[World]:
    async with aiohttp.ClientSession() as http:
        world = EtcdWorld(http, config)
        async with _running(world):
            try:
                yield world
            finally:
                await world.close()


@contextlib.asynccontextmanager
async def _running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.registry.run())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.registry.close()
