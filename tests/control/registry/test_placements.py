"""The placement row: one claim wins, the epoch only grows, and a secondary node does not change it."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from control.database import Connection, Pool, open_pool
from control.store import placements
from sfu.api.placement import Placement

MEETING = "m-1"


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn)
    async with opened.acquire() as connection:
        await connection.execute(
            "INSERT INTO users (id, username, username_key, display_name, password_hash)"
            " VALUES ('u', 'a', 'a', 'A', 'x')"
        )
        await connection.execute("INSERT INTO meetings (id, host_id, title) VALUES ($1, 'u', 'One')", MEETING)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as acquired:
        yield acquired


async def open_room(connection: Connection, node: str) -> None:
    await connection.execute(
        "INSERT INTO meeting_rooms (meeting_id, node, boot, opened_at) VALUES ($1, $2, 'b', now())", MEETING, node
    )


async def test_of_many_claims_at_once_one_holds(pool: Pool) -> None:
    async def claim(node: str) -> Placement:
        async with pool.acquire() as connection:
            return await placements.claim(connection, MEETING, node, ["a", "b"], [])

    found = await asyncio.gather(*(claim("ab"[number % 2]) for number in range(50)))
    assert len(set(found)) == 1
    assert found[0].epoch == 1


async def test_a_live_room_stays_on_its_node_also_while_that_drains(connection: Connection) -> None:
    first = await placements.claim(connection, MEETING, "a", ["a", "b"], [])
    await open_room(connection, "a")
    await connection.execute("UPDATE room_placements SET placed_at = now() - interval '1 day'")
    assert await placements.claim(connection, MEETING, "b", ["a", "b"], []) == first
    assert await placements.claim(connection, MEETING, "b", ["b"], ["a"]) == first


async def test_a_node_that_is_gone_or_drains_without_a_room_is_replaced(connection: Connection) -> None:
    await placements.claim(connection, MEETING, "a", ["a"], [])
    assert await placements.claim(connection, MEETING, "b", ["b"], ["a"]) == Placement(node="b", epoch=2)
    assert await placements.claim(connection, MEETING, "a", ["a"], []) == Placement(node="a", epoch=3)


async def test_an_old_claim_without_a_room_is_chosen_anew(connection: Connection) -> None:
    first = await placements.claim(connection, MEETING, "a", ["a", "b"], [])
    assert await placements.claim(connection, MEETING, "b", ["a", "b"], []) == first
    await connection.execute("UPDATE room_placements SET placed_at = now() - interval '1 day'")
    assert await placements.claim(connection, MEETING, "b", ["a", "b"], []) == Placement(node="b", epoch=2)


async def test_one_of_two_moves_holds(connection: Connection) -> None:
    await placements.claim(connection, MEETING, "a", ["a"], [])
    assert await placements.move(connection, MEETING, 1, "b") == Placement(node="b", epoch=2)
    assert await placements.move(connection, MEETING, 1, "c") is None
    assert await placements.of(connection, MEETING) == Placement(node="b", epoch=2)


async def test_a_secondary_node_is_added_under_the_epoch_and_a_move_takes_it_back(connection: Connection) -> None:
    await placements.claim(connection, MEETING, "a", ["a"], [])
    assert await placements.add_secondary(connection, MEETING, 1, "a") is None
    await placements.add_secondary(connection, MEETING, 1, "b")
    spread = await placements.add_secondary(connection, MEETING, 1, "c")
    assert spread == Placement(node="a", epoch=1, secondaries=("b", "c"))
    assert spread is not None and spread.includes("c") and not spread.includes("d")
    assert await placements.move(connection, MEETING, 1, "d") == Placement(node="d", epoch=2)
    assert await placements.add_secondary(connection, MEETING, 1, "b") is None


async def test_rooms_live_on_a_node_are_found_by_their_placement(connection: Connection) -> None:
    await placements.claim(connection, MEETING, "a", ["a"], [])
    assert await placements.live_on(connection, "a") == []
    await open_room(connection, "a")
    assert await placements.live_on(connection, "a") == [(MEETING, Placement(node="a", epoch=1))]


async def test_a_meeting_that_was_never_placed_has_no_placement(connection: Connection) -> None:
    assert await placements.of(connection, MEETING) is None
