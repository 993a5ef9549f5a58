"""etcd unreachable when control starts, from control or from one node: living nodes are found and keep their rooms."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest_asyncio

from control.config import ControlConfig
from control.placement import failover, node_memory
from control.services import Services, open_services
from control.store import node_addresses
from foundation.etcd import Etcd, EtcdConfig
from sfu.api.registration import NODES_PREFIX
from sfu.server.registration import Registration
from tests.control.harness import People, serving
from tests.control.registry.test_placing import desired, joined, opened
from tests.control.registry.world import FakeNode, etcd_world
from tests.control.test_leases import kinds
from tests.support.etcd import etcd_members, running_etcd
from tests.support.waiting import eventually

BOUND = 30


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[list[FakeNode]]:
    made = [FakeNode("sfu-1"), FakeNode("sfu-2")]
    for node in made:
        await node.start()
    yield made
    for node in made:
        await node.kill()


@contextlib.asynccontextmanager
async def registered(config: EtcdConfig, *nodes: FakeNode) -> AsyncIterator[None]:
    """Nodes that renew their leases meanwhile; afterwards they are cut off without deregistering."""
    registrations = [Registration(Etcd(config), config.lease_seconds, lambda node=node: node.record) for node in nodes]  # type: ignore[misc]
    tasks = [asyncio.create_task(one.run()) for one in registrations]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for one in registrations:
        await one._etcd.close()


@contextlib.asynccontextmanager
async def people_of(config: ControlConfig) -> AsyncIterator[People]:
    """The callers of a control process that runs meanwhile."""
    async with (
        serving(config) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield People(session, server)


@contextlib.asynccontextmanager
async def starting(config: ControlConfig) -> AsyncIterator[Services]:
    """Yield the services of a control process that starts now, its registry running."""
    services = await open_services(config)
    await node_memory.recall(services)
    following = asyncio.create_task(services.registry.run())
    yield services
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await services.close()


async def until_remembered(services: Services, *names: str) -> None:
    async with services.pool.acquire() as connection:

        async def are_remembered() -> bool:
            return {one.node for one in await node_addresses.remembered(connection)} == set(names)

        await eventually(are_remembered)


async def until_nobody_is_registered(config: EtcdConfig) -> None:
    etcd = Etcd(config)
    async with asyncio.timeout(BOUND):
        while (await etcd.under(NODES_PREFIX)).values:
            await asyncio.sleep(0.05)
    await etcd.close()


async def test_without_a_quorum_nodes_are_known_and_asked(nodes: list[FakeNode]) -> None:
    with etcd_members(2) as (first, second):
        config = EtcdConfig(urls=(first.url, second.url), lease_seconds=2)
        async with registered(config, nodes[0]):
            async with etcd_world(config) as before:
                await before.until(lambda: before.registry.lives("sfu-1"), BOUND)
            second.process.kill()
            async with etcd_world(config) as world:
                await world.until(lambda: world.registry.lives("sfu-1"), BOUND)
                assert "quorum" in (await world.registry.trouble() or "")
                await nodes[0].kill()
                await world.until(lambda: not world.registry.lives("sfu-1"), BOUND)
                await nodes[0].start()
                await world.until(lambda: world.registry.lives("sfu-1"), BOUND)


async def test_a_control_that_starts_without_etcd_goes_on_with_the_nodes_that_were_there(
    config: ControlConfig, nodes: list[FakeNode]
) -> None:
    with running_etcd() as etcd:
        settings = EtcdConfig(urls=(etcd.url,), lease_seconds=2)
        config = replace(config, nodes=(), etcd=settings)
        async with registered(settings, nodes[0]), people_of(config) as people, starting(config) as services:
            await until_remembered(services, "sfu-1")
            host = await people.user("ada")
            meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        etcd.process.kill()
        etcd.process.wait()
        async with people_of(config) as people:
            host = people.bearer(host.headers["Authorization"].removeprefix("Bearer "))
            await joined(host, meeting)
            async with asyncio.timeout(BOUND):
                while "etcd" not in (health := (await host.call("GET", "/health/ready"))[1])["down"]:
                    await asyncio.sleep(0.05)
            assert (health["status"], list(health["down"])) == ("degraded", ["etcd"])


async def test_a_node_that_only_etcd_misses_keeps_its_rooms_when_control_starts(
    config: ControlConfig, nodes: list[FakeNode]
) -> None:
    with running_etcd() as etcd:
        settings = EtcdConfig(urls=(etcd.url,), lease_seconds=2)
        config = replace(config, nodes=(), etcd=settings)
        async with people_of(config) as people:
            async with registered(settings, nodes[0]), starting(config) as services:
                await until_remembered(services, "sfu-1")
                host = await people.user("ada")
                meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
                await joined(host, meeting)
                at = (await desired(host, meeting))["placement"]
                await opened(host, meeting, at["node"], at["epoch"], 1)
            await until_nobody_is_registered(settings)
            async with registered(settings, nodes[1]), starting(config) as services:
                await eventually(lambda: services.registry.lives("sfu-2"))
                await failover.rescue(services)
                assert (await desired(host, meeting))["placement"] == at
                assert "meeting.room_closed" not in await kinds(config.database_dsn, meeting)
                assert services.registry.lives("sfu-1")
                await nodes[0].kill()
                await eventually(lambda: not services.registry.lives("sfu-1"))
                await failover.rescue(services)
                assert (await desired(host, meeting))["placement"]["node"] == "sfu-2"


async def test_a_room_on_a_node_that_was_never_heard_of_stays_until_that_was_asked(
    config: ControlConfig, nodes: list[FakeNode]
) -> None:
    with running_etcd() as etcd:
        settings = EtcdConfig(urls=(etcd.url,), lease_seconds=2)
        config = replace(config, nodes=(), etcd=settings)
        async with registered(settings, nodes[1]), people_of(config) as people, starting(config) as services:
            await eventually(lambda: services.registry.lives("sfu-2"))
            host = await people.user("ada")
            meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
            await opened(host, meeting, "sfu-1", 1, 1)  # placed by another control process, which knows it
            async with services.pool.acquire() as connection:
                await node_addresses.remember(connection, [nodes[0].record])
            await failover.rescue(services)
            assert (await desired(host, meeting))["placement"]["node"] == "sfu-1"
