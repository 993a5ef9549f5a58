"""Rooms on two nodes, with real PostgreSQL and both registries: one claim wins, and lost nodes lose their rooms."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio

from control.config import ControlConfig
from control.placement import balancing, failover, placing
from control.placement.balance import PATIENCE_SECONDS, Balance
from control.services import Services, open_services
from foundation.etcd import Etcd, EtcdConfig
from sfu.api.placement import Placement
from sfu.api.registration import NodeRecord, RoomLoad
from sfu.server.registration import Registration
from tests.control.harness import NODE_SECRET, Client, People, Server, report, serving
from tests.control.registry.world import FakeNode
from tests.control.test_account_security import make_admin
from tests.control.test_leases import kinds
from tests.support.etcd import running_etcd
from tests.support.waiting import eventually

AT = 1_700_000_000_000


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[list[FakeNode]]:
    made = [FakeNode("sfu-1", region="eu"), FakeNode("sfu-2", region="us")]
    for node in made:
        await node.start()
    yield made
    for node in made:
        await node.kill()


@pytest.fixture
def two_nodes(config: ControlConfig, nodes: list[FakeNode]) -> ControlConfig:
    listed = [
        NodeRecord(node=one.record.node, signaling_url=one.record.signaling_url, http_url=one.record.http_url, region=r)
        for one, r in zip(nodes, ("eu", "us"), strict=True)
    ]
    return replace(config, nodes=tuple(listed), region_header="X-Region")


@pytest_asyncio.fixture
async def server(two_nodes: ControlConfig) -> AsyncIterator[Server]:
    async with serving(two_nodes) as running:
        yield running


@pytest_asyncio.fixture
async def services(two_nodes: ControlConfig) -> AsyncIterator[Services]:
    opened = await open_services(two_nodes)
    yield opened
    await opened.close()


async def joined(client: Client, meeting: str, **headers: str) -> dict[str, Any]:
    """Join, and return the claims of the token."""
    answer = await client.ok("POST", f"/api/v1/meetings/{meeting}/join", {"name": "x"}, **headers)
    claims: dict[str, Any] = jwt.decode(answer["token"], options={"verify_signature": False})
    return claims


async def room(client: Client, meeting: str) -> dict[str, Any]:
    found: dict[str, Any] = await client.ok("GET", f"/api/v1/meetings/{meeting}/room")
    return found


async def desired(client: Client, meeting: str) -> dict[str, Any]:
    url = f"{client.server.internal}/internal/v1/rooms/{meeting}/desired"
    async with client.session.get(url, headers={"Authorization": f"Bearer {NODE_SECRET}"}) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def opened(client: Client, meeting: str, node: str, epoch: int, n: int, **more: Any) -> None:
    at = {"room": meeting, "at": AT, "epoch": epoch}
    await report(client, {"kind": "room_opened", **at}, *more.values(), n=n, node=node)


async def fifty_at_once(people: People) -> set[tuple[str, int]]:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    tokens = await asyncio.gather(*(joined(people.nobody(), meeting) for _ in range(50)))
    where = (await desired(host, meeting))["placement"]
    return {(where["node"], claims["epoch"]) for claims in tokens}


async def test_fifty_who_come_first_land_in_one_room_on_one_node(people: People) -> None:
    assert len(await fifty_at_once(people)) == 1


async def test_the_same_with_nodes_that_registered_in_etcd(config: ControlConfig, nodes: list[FakeNode]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        etcd = EtcdConfig(urls=(stack.enter_context(running_etcd()).url,))
        server = await stack.enter_async_context(serving(replace(config, nodes=(), etcd=etcd)))
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        people = People(session, server)
        host = await people.user("eve")
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        assert await host.refused("POST", f"/api/v1/meetings/{meeting}/join", {}) == (503, "no_node")
        for node in nodes:
            registration = Registration(Etcd(etcd), etcd.lease_seconds, lambda node=node: node.record)  # type: ignore[misc]
            task = asyncio.create_task(registration.run())
            stack.push_async_callback(registration.end)
            stack.callback(task.cancel)
        async with asyncio.timeout(30):
            while (await host.call("POST", f"/api/v1/meetings/{meeting}/join", {}))[0] != 200:
                await asyncio.sleep(0.05)
        assert len(await fifty_at_once(people)) == 1


async def test_rooms_go_where_the_gateway_says_that_people_are(people: People) -> None:
    host = await people.user("ada")
    for region, node in (("us", "sfu-2"), ("eu", "sfu-1")):
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        await joined(host, meeting, **{"X-Region": region})
        assert (await room(host, meeting))["node"] == node


async def test_a_node_that_is_gone_is_noticed_by_the_next_who_joins(
    people: People, nodes: list[FakeNode], dsn: str
) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    claims = await joined(host, meeting, **{"X-Region": "eu"})
    came = {
        "kind": "participant_joined",
        "participant": claims["participant"],
        "name": "ada",
        "room": meeting,
        "at": AT,
    }
    await opened(host, meeting, "sfu-1", 1, 1, came=came | {"epoch": 1})
    await nodes[0].kill()

    async def is_moved() -> bool:
        return (await joined(host, meeting))["epoch"] == 2

    await eventually(is_moved)  # a recent report is trusted
    assert (await room(host, meeting))["node"] == "sfu-2"
    assert (await kinds(dsn, meeting))[-2:] == ["meeting.user_left", "meeting.room_closed"]
    # The old node returns and reports its facts, which control has already written.
    left = {"kind": "participant_left", "participant": claims["participant"], "reason": "timeout"}
    at = {"room": meeting, "at": AT, "epoch": 1}
    await report(host, left | at, {"kind": "room_closed", **at}, {"kind": "room_opened", **at}, n=2)
    assert (await kinds(dsn, meeting))[-2:] == ["meeting.user_left", "meeting.room_closed"]
    await opened(host, meeting, "sfu-2", 2, 1)
    assert (await room(host, meeting))["live"] is True
    await report(host, {"kind": "room_closed", **at}, n=3)
    assert (await room(host, meeting))["live"] is True


async def test_a_lost_nodes_rooms_move_and_a_running_recording_stays(
    people: People, nodes: list[FakeNode], services: Services, dsn: str
) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await joined(host, meeting, **{"X-Region": "eu"})
    await opened(host, meeting, "sfu-1", 1, 1)
    await host.ok("POST", f"/api/v1/meetings/{meeting}/recording/start")
    recording = (await room(host, meeting))["recording"]
    assert recording
    await nodes[0].kill()
    assert not await services.registry.verify("sfu-1")
    await failover.rescue(services)
    found = await room(host, meeting)
    assert (found["node"], found["recording"]) == ("sfu-2", recording)
    assert (await desired(host, meeting))["placement"] == {"node": "sfu-2", "epoch": 2}
    before = await kinds(dsn, meeting)
    await failover.rescue(services)
    assert await kinds(dsn, meeting) == before


async def test_with_no_other_node_a_room_waits_for_its_own(
    people: People, nodes: list[FakeNode], services: Services
) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await joined(host, meeting, **{"X-Region": "eu"})
    await opened(host, meeting, "sfu-1", 1, 1)
    for node in nodes:
        await node.kill()
        assert not await services.registry.verify(node.record.node)
    await failover.rescue(services)
    assert (await desired(host, meeting))["placement"]["epoch"] == 1
    assert (await joined(host, meeting))["epoch"] == 1


async def test_a_draining_node_is_emptied_when_it_asks(
    people: People, nodes: list[FakeNode], services: Services
) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await joined(host, meeting, **{"X-Region": "eu"})
    await opened(host, meeting, "sfu-1", 1, 1)
    url = f"{host.server.internal}/internal/v1/nodes/sfu-1/evacuate"
    async with host.session.post(url, headers={"Authorization": f"Bearer {NODE_SECRET}"}) as answer:
        assert await answer.json() == {"moved": [meeting]}
    found = await room(host, meeting)
    assert (found["node"], found["live"]) == ("sfu-2", False)
    assert await placing.evacuate(services, "sfu-1") == []


async def test_a_room_moves_off_a_hot_node_and_both_nodes_are_told(
    people: People, nodes: list[FakeNode], services: Services
) -> None:
    host = await people.user("ada")
    for number in (1, 2):
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        await joined(host, meeting, **{"X-Region": "eu"})
        await opened(host, meeting, "sfu-1", 1, number)
        nodes[0].rooms.append(RoomLoad(room=meeting, participants=4, weight=3.0 - number))
    for node, cpu in zip(nodes, (0.95, 0.1), strict=True):
        node.change(region="")
        node.load(cpu, 4)
    balance = Balance()
    for now in (0.0, PATIENCE_SECONDS):
        for node in nodes:
            services.registry._heard(node.record)
        await balancing.step(services, balance, now)
    moved = nodes[0].rooms[1].room
    assert (await desired(host, moved))["placement"] == {"node": "sfu-2", "epoch": 2}
    assert (await desired(host, nodes[0].rooms[0].room))["placement"]["node"] == "sfu-1"
    assert [(state.room, state.placement) for state in nodes[0].told] == [(moved, Placement(node="sfu-2", epoch=2))]
    await eventually(lambda: [state.room for state in nodes[1].told] == [moved])


async def test_administrators_see_the_media_of_a_room_on_all_its_nodes(
    people: People, nodes: list[FakeNode], two_nodes: ControlConfig
) -> None:
    host = await make_admin(people, two_nodes)
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await joined(host, meeting, **{"X-Region": "eu"})
    await opened(host, meeting, "sfu-1", 1, 1)
    nodes[0].rooms.append(RoomLoad(room=meeting, participants=4, weight=1.0, kbps_in=2000, kbps_out=7000))
    nodes[1].rooms.append(RoomLoad(room=meeting, participants=1, weight=1.0, kbps_in=500, kbps_out=1500))
    (shown,) = (await host.ok("GET", "/api/v1/stats/rooms"))["rooms"]
    assert (shown["kbps_in"], shown["kbps_out"]) == (2500, 8500)
    await nodes[1].kill()
    (shown,) = (await host.ok("GET", "/api/v1/stats/rooms"))["rooms"]
    assert (shown["kbps_in"], shown["kbps_out"]) == (2000, 7000)


async def test_a_hot_node_whose_rooms_fit_nowhere_is_logged_once(
    people: People, nodes: list[FakeNode], services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "control.placement.balancing")
    nodes[0].rooms.append(RoomLoad(room="only", participants=4, weight=1.0))
    balance = Balance()

    async def look(cpu: float, *times: float) -> int:
        for node, load in zip(nodes, (cpu, 0.1), strict=True):
            node.change(region="")
            node.load(load, 4)
            services.registry._heard(node.record)
        for now in times:
            await balancing.step(services, balance, now)
        return len([line for line in caplog.messages if "is hot" in line])

    assert await look(0.95, *(number * PATIENCE_SECONDS for number in range(20))) == 1
    assert await look(0.1, 300.0) == 1
    assert await look(0.95, 310.0, 310.0 + PATIENCE_SECONDS) == 2
