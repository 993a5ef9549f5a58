"""A node keeps a room as long as its placement says so, and hands its rooms over before it stops."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement
from sfu.api.refusal import Code
from sfu.api.registration import NodeRecord, decode_record
from tests.sfu.server.harness import SECRET, Client, Host, client, host
from tests.support.waiting import eventually

ROOM = "m1"
RESTART = 1012


def state(version: int, node: str, epoch: int, *secondaries: str) -> DesiredState:
    return DesiredState(
        room=ROOM, version=version, placement=Placement(node=node, epoch=epoch, secondaries=secondaries)
    )


async def moved(one: Client) -> None:
    """Return once a client was told to join again."""
    error = await one.until(signaling.Error)
    assert (error.code, error.fatal) == (Code.MOVED.value, True)
    assert await one.closed() == RESTART


async def ask(h: Host, method: str, path: str, **body: Any) -> NodeRecord:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, h.http + path, json=body or None) as answer,
    ):
        assert answer.status == 200
        return decode_record(await answer.read())


@pytest.mark.parametrize("later", [state(1, "sfu-2", 4), state(1, "sfu-1", 4), state(9, "sfu-2", 3, "sfu-3")])
async def test_a_room_that_was_placed_anew_is_given_up(tmp_path: Path, later: DesiredState) -> None:
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada", epoch=3)) as ada:
        await ada.until(signaling.RoomInfo)
        assert await h.put_desired(later) == 404
        await moved(ada)
        assert not h.node.rooms
        await eventually(lambda: "RoomClosed" in h.control.kinds())
        assert {fact.epoch for fact in h.control.facts} == {3}


@pytest.mark.parametrize("same", [state(5, "sfu-1", 3), state(5, "sfu-2", 3, "sfu-1"), state(5, "sfu-2", 2)])
async def test_a_room_that_is_ours_or_that_came_here_since_is_kept(tmp_path: Path, same: DesiredState) -> None:
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada", epoch=3)) as ada:
        await ada.until(signaling.RoomInfo)
        assert await h.put_desired(same) == 200
        assert list(h.node.rooms[ROOM].participants) == ["ada"]


async def test_a_room_is_given_up_too_when_control_could_not_tell(tmp_path: Path) -> None:
    async with host(tmp_path, desired_state_seconds=0.2) as h, client(h, h.control.token(ROOM, "ada", epoch=1)) as ada:
        await ada.until(signaling.RoomInfo)
        h.control.desired[ROOM] = state(1, "sfu-2", 2)
        await moved(ada)


async def test_of_two_tokens_the_later_placement_holds(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada", epoch=1)) as ada:
        await ada.until(signaling.RoomInfo)
        async with client(h, h.control.token(ROOM, "grace", epoch=3)) as grace:
            await grace.until(signaling.RoomInfo)
            await moved(ada)
            assert list(h.node.rooms[ROOM].participants) == ["grace"]
            async with client(h, h.control.token(ROOM, "late", epoch=2)) as late:
                assert (await late.until(signaling.Error)).code == Code.MOVED.value


async def test_who_comes_back_passes_the_lock(tmp_path: Path) -> None:
    locked = DesiredState(room=ROOM, version=1, locked=True)
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada")) as ada:
        await ada.until(signaling.RoomInfo)
        await h.put_desired(locked)
        async with client(h, h.control.token(ROOM, "new")) as new:
            assert (await new.until(signaling.Error)).code == Code.LOCKED.value
        async with client(h, h.control.token(ROOM, "old", returning=True)) as old:
            await old.until(signaling.RoomInfo)


async def test_a_node_tells_how_it_is(tmp_path: Path) -> None:
    async with host(tmp_path, region="eu-west-1") as h, client(h, h.control.token(ROOM, "ada")) as ada:
        await ada.until(signaling.RoomInfo)
        record = await ask(h, "GET", "/node/v1/status")
        assert (record.node, record.region, record.draining) == ("sfu-1", "eu-west-1", False)
        assert (record.load.rooms, record.load.participants) == (1, 1)
        assert record.http_url == h.http
        await eventually(lambda: h.control.facts)
        assert record.boot


async def test_a_draining_node_lets_its_rooms_end(tmp_path: Path) -> None:
    async with host(tmp_path, drain_seconds=60) as h, client(h, h.control.token(ROOM, "ada")) as ada:
        await ada.until(signaling.RoomInfo)
        draining = asyncio.create_task(h.server.drain())

        async def drains() -> bool:
            return (await ask(h, "GET", "/node/v1/status")).draining

        await eventually(drains)
        assert not draining.done()
        await ada.send(signaling.Leave())
        await asyncio.wait_for(draining, 30)


async def test_what_is_left_after_the_grace_is_handed_over(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada", epoch=1)) as ada:
        await ada.until(signaling.RoomInfo)
        await h.put_desired(state(1, "sfu-1", 1))
        h.control.other_nodes = True
        assert (await ask(h, "PUT", "/node/v1/drain", draining=True, grace_seconds=0.2)).draining
        await moved(ada)
        assert not (await ask(h, "PUT", "/node/v1/drain", draining=False)).draining


async def test_a_drain_tries_again_until_control_and_another_node_are_there(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token(ROOM, "ada", epoch=1)) as ada:
        await ada.until(signaling.RoomInfo)
        await h.put_desired(state(1, "sfu-1", 1))
        h.control.evacuation_status = 503
        await ask(h, "PUT", "/node/v1/drain", draining=True, grace_seconds=0)
        await eventually(lambda: 503 in h.control.evacuations)
        h.control.evacuation_status = 200
        await eventually(lambda: 200 in h.control.evacuations)
        assert ROOM in h.node.rooms
        h.control.other_nodes = True
        await moved(ada)


async def test_with_no_other_node_rooms_stay_until_the_end(tmp_path: Path) -> None:
    async with host(tmp_path, drain_seconds=0) as h, client(h, h.control.token(ROOM, "ada", epoch=1)) as ada:
        await ada.until(signaling.RoomInfo)
        await h.put_desired(state(1, "sfu-1", 1))
        await h.server.drain()
        assert ROOM in h.node.rooms
        await h.server.stop()
        assert (await ada.until(signaling.Error)).code == Code.SHUTDOWN.value
