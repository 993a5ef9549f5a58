"""Seats: a room is full once enough tokens are issued, no matter how many holders have connected."""

import asyncio
from typing import Any

import asyncpg

from tests.control.harness import Client, Node, People, report
from tests.control.test_stream_keys import exchange


async def meeting_of(host: Client, capacity: int) -> str:
    body = {"settings": {"capacity": capacity}}
    return str((await host.ok("POST", "/api/v1/meetings", body))["id"])


def came(meeting: str, person: str) -> dict[str, Any]:
    return {"kind": "participant_joined", "room": meeting, "at": 1, "participant": person, "name": "x"}


def left(meeting: str, person: str, reason: str) -> dict[str, Any]:
    return {"kind": "participant_left", "room": meeting, "at": 2, "participant": person, "reason": reason}


async def test_no_more_tokens_are_given_out_than_there_are_seats(people: People) -> None:
    meeting = await meeting_of(await people.user("ada"), 3)
    guests = [people.nobody().call("POST", f"/api/v1/meetings/{meeting}/join", {"name": f"{n}"}) for n in range(12)]
    answers = await asyncio.gather(*guests)
    assert sorted(status for status, _ in answers) == 3 * [200] + 9 * [403]
    assert {answer["code"] for status, answer in answers if status == 403} == {"full"}


async def test_who_comes_back_has_a_seat_still_and_takes_no_second_one(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, 2)
    join = f"/api/v1/meetings/{meeting}/join"
    bob = await people.nobody().ok("POST", join, {"name": "Bob"})
    await report(
        host,
        {"kind": "room_opened", "room": meeting, "at": 1},
        came(meeting, bob["participant"]),
        left(meeting, bob["participant"], "timeout"),
        n=1,
    )
    await people.nobody().ok("POST", join, {"name": "Cleo"})
    assert await people.nobody().refused("POST", join, {"name": "Dan"}) == (403, "full")
    for _ in range(3):
        bob = await people.nobody().ok("POST", join, {"rejoin_secret": bob["rejoin_secret"]})
    assert await people.nobody().refused("POST", join, {"name": "Dan"}) == (403, "full")


async def test_who_leaves_frees_the_seat_at_once(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, 2)
    join = f"/api/v1/meetings/{meeting}/join"
    bob = await people.nobody().ok("POST", join, {"name": "Bob"})
    await people.nobody().ok("POST", join, {"name": "Cleo"})
    opened = {"kind": "room_opened", "room": meeting, "at": 1}
    await report(host, opened, came(meeting, bob["participant"]), left(meeting, bob["participant"], "left"), n=1)
    await people.nobody().ok("POST", join, {"name": "Dan"})
    assert await people.nobody().refused("POST", join, {"rejoin_secret": bob["rejoin_secret"]}) == (403, "full")


async def test_a_seat_that_nobody_took_is_free_when_its_token_has_expired(people: People, dsn: str) -> None:
    meeting = await meeting_of(await people.user("ada"), 2)
    join = f"/api/v1/meetings/{meeting}/join"
    for name in ("Bob", "Cleo"):
        await people.nobody().ok("POST", join, {"name": name})
    assert await people.nobody().refused("POST", join, {"name": "Dan"}) == (403, "full")
    connection = await asyncpg.connect(dsn)
    held = await connection.fetchval("SELECT min(seat_until - now()) FROM meeting_participants")
    assert 0 < held.total_seconds() <= 65
    await connection.execute("UPDATE meeting_participants SET seat_until = now()")
    await connection.close()
    await people.nobody().ok("POST", join, {"name": "Dan"})


async def test_people_in_breakout_rooms_keep_their_seats(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, 2)
    base = f"/api/v1/meetings/{meeting}"
    bob = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    await people.nobody().ok("POST", f"{base}/join", {"name": "Cleo"})
    body = {"rooms": [{"title": "Blue", "participants": [bob["participant"]]}]}
    (blue,) = (await host.ok("POST", f"{base}/breakouts", body))["rooms"]
    await host.ok("POST", f"{base}/breakouts/open")
    inside = await people.nobody().ok("POST", f"{base}/join", {"rejoin_secret": bob["rejoin_secret"]})
    moved = left(meeting, bob["participant"], "left")
    opened = [{"kind": "room_opened", "room": room, "at": 1} for room in (meeting, blue["id"])]
    facts = [*opened, came(meeting, bob["participant"]), moved, came(blue["id"], inside["participant"])]
    await report(host, *facts, n=1)
    assert await people.nobody().refused("POST", f"{base}/join", {"name": "Dan"}) == (403, "full")


async def test_hosts_come_in_above_the_meetings_own_capacity(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, 2)
    join = f"/api/v1/meetings/{meeting}/join"
    for name in ("Bob", "Cleo"):
        await people.nobody().ok("POST", join, {"name": name})
    await host.ok("POST", join, {})


async def test_a_stream_key_needs_a_seat_and_takes_one(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, 2)
    base = f"/api/v1/meetings/{meeting}"
    key = await host.ok("POST", f"{base}/stream-keys", {"name": "Camera", "role": "publish"})
    await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    assert (await exchange(host, key["secret"]))["participant"]
    assert await people.nobody().refused("POST", f"{base}/join", {"name": "Cleo"}) == (403, "full")
    assert (await exchange(host, key["secret"]))["participant"], "its own seat"
    other = await host.ok("POST", f"{base}/stream-keys", {"name": "Second", "role": "publish"})
    assert (await exchange(host, other["secret"]))["code"] == "full"
