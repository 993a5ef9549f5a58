"""Network tests: two join tokens for a room that is nobody's meeting, and that ends by itself."""

import time
from typing import Any

import asyncpg
import jwt

from control import network_test
from sfu.api.desired_state import DesiredChanges
from tests.control.harness import NODE_SECRET, Client, People, report

TESTS = "/api/v1/network-tests"
NODE = {"Authorization": f"Bearer {NODE_SECRET}"}


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def poll(client: Client, room: str, version: int) -> DesiredChanges:
    body = {"node": "sfu-1", "rooms": {room: {"version": version}}}
    url = f"{client.server.internal}/internal/v1/desired-states"
    async with client.session.post(url, json=body, headers=NODE) as answer:
        assert answer.status == 200
        return DesiredChanges(**await answer.json())


async def test_anyone_gets_a_sender_and_a_receiver(people: People) -> None:
    test = await people.nobody().ok("POST", TESTS)
    sender, receiver = claims(test["sender"]), claims(test["receiver"])
    assert sender["room"] == receiver["room"]
    assert sender["participant"] != receiver["participant"]
    assert sender["grants"] == {"publish": ["microphone", "camera"], "subscribe": False, "chat": False, "data": False}
    assert receiver["grants"] == {"publish": [], "chat": False, "data": False}
    assert test["signaling_url"] == f"/ws/signaling?meeting={sender['room']}&node=sfu-1"


async def test_the_room_opens_once_and_ends_by_itself(people: People) -> None:
    nobody = people.nobody()
    room = claims((await nobody.ok("POST", TESTS))["sender"])["room"]
    url = f"{nobody.server.internal}/internal/v1/rooms/{room}/desired"
    async with nobody.session.get(url, headers=NODE) as answer:
        state = await answer.json()
    assert state == {"room": room, "version": 1, "captions": False}
    assert await poll(nobody, room, 1) == DesiredChanges()
    # The id contains the end, so that of an earlier test tells what a node hears after half a minute.
    earlier = network_test.new_room(int(time.time()) - network_test.SECONDS)
    changes = await poll(nobody, earlier, 1)
    assert changes.changed == [{"room": earlier, "version": 2, "ended": True, "captions": False}]
    assert changes.unknown == []


async def test_nothing_of_a_test_is_stored(people: People, dsn: str) -> None:
    nobody = people.nobody()
    told = claims((await nobody.ok("POST", TESTS))["sender"])
    about = {"room": told["room"], "at": 1}
    joined = about | {"kind": "participant_joined", "participant": told["participant"], "name": "sender"}
    await report(nobody, about | {"kind": "room_opened"}, joined, about | {"kind": "room_closed"}, n=1)
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("meetings", "meeting_rooms", "room_placements", "meeting_participants", "outbox"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    finally:
        await connection.close()


async def test_a_test_s_address_leads_to_a_known_node_only(people: People) -> None:
    nobody = people.nobody()
    room = claims((await nobody.ok("POST", TESTS))["sender"])["room"]
    url = f"{nobody.server.internal}/internal/v1/route"
    for node, status in (("sfu-1", 204), ("elsewhere", 404), ("", 404)):
        wanted = NODE | {"X-Original-URI": f"/ws/signaling?meeting={room}&node={node}"}
        async with nobody.session.get(url, headers=wanted) as answer:
            assert answer.status == status, node


async def test_tests_are_few(people: People) -> None:
    ada = await people.user("ada")
    for _ in range(10):
        await ada.ok("POST", TESTS)
    assert await ada.refused("POST", TESTS) == (429, "too_many_requests")
    nobody = people.nobody()
    for _ in range(10):
        await nobody.ok("POST", TESTS)
    # Twenty at once are enough for a whole server, whoever asks.
    assert await nobody.refused("POST", TESTS) == (429, "too_many_requests")
