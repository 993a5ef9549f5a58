"""Breakout rooms over REST: assignments, the rooms' desired states, and the data kept with the meeting."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import jwt

from control.config import ControlConfig
from control.meetings import breakouts
from control.services import open_services
from tests.control.harness import Client, Node, People, report

AT = 1_790_000_000_000


def claims(joined: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(joined["token"], options={"verify_signature": False})
    return found


async def a_meeting(people: People, **settings: Any) -> tuple[Client, str, dict[str, Any]]:
    """A meeting with a host, an account and a guest who are in it."""
    host, bob, guest = await people.user("ada"), await people.user("bob"), people.nobody()
    meeting = (await host.ok("POST", "/api/v1/meetings", {"title": "Main", "settings": settings}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    joined = {
        "ada": await host.ok("POST", f"{base}/join", {}),
        "bob": await bob.ok("POST", f"{base}/join", {}),
        "guest": await guest.ok("POST", f"{base}/join", {"name": "Guest"}),
    }
    facts = [
        {"kind": "participant_joined", "room": meeting, "at": AT, "participant": one["participant"], "name": "x"}
        for one in joined.values()
    ]
    await report(host, {"kind": "room_opened", "room": meeting, "at": AT}, *facts, n=1)
    joined["bob"]["client"], joined["guest"]["client"] = bob, people.bearer(joined["guest"]["participant_token"])
    return host, base, joined


async def until(node: Node, room: str, check: Any) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            for state in node.desired:
                if state["room"] == room and check(state):
                    return state
            node.arrived.clear()
            await node.arrived.wait()


async def test_rooms_are_filled_opened_and_closed(people: People, node: Node) -> None:
    host, base, joined = await a_meeting(people)
    meeting, bob = base.rpartition("/")[2], joined["bob"]["participant"]
    assert await host.refused("POST", f"{base}/breakouts/open") == (409, "no_breakouts")
    body = {"rooms": [{"title": "Blue", "participants": [bob]}, {"title": "Red"}]}
    made = await host.ok("POST", f"{base}/breakouts", body)
    blue, red = made["rooms"]
    assert (blue["title"], blue["participants"], red["participants"], made["open"]) == ("Blue", [bob], [], False)
    people = {one["name"]: (one["room"], one["here"]) for one in made["people"]}
    assert people == {"ada": (None, True), "bob": (blue["id"], True), "Guest": (None, True)}
    # Before they are open, nobody is sent there, and nobody can join one directly.
    client: Client = joined["bob"]["client"]
    assert (await client.ok("GET", f"{base}/breakouts"))["people"] == []
    assert claims(await client.ok("POST", f"{base}/join", {}))["room"] == meeting
    assert await client.refused("POST", f"/api/v1/meetings/{blue['id']}/join", {}) == (409, "breakout")

    await host.ok("POST", f"{base}/breakouts/open")
    state = await until(node, meeting, lambda one: one.get("elsewhere"))
    assert state["elsewhere"] == {bob: {"meeting": blue["id"], "title": "Blue"}}
    inside = await client.ok("POST", f"{base}/join", {})
    assert claims(inside)["room"] == blue["id"] == inside["meeting"]["id"]
    assert (inside["meeting"]["breakout_of"], inside["meeting"]["title"]) == (meeting, "Blue")
    assert inside["participant"] != bob
    people = (await host.ok("GET", f"{base}/breakouts"))["people"]
    assert [one["here"] for one in people if one["id"] == bob] == [False]
    arrived = {"kind": "participant_joined", "room": blue["id"], "at": AT, "participant": inside["participant"]}
    opened = {"kind": "room_opened", "room": blue["id"], "at": AT}
    await report(host, opened, arrived | {"name": "bob"}, n=2)
    people = (await host.ok("GET", f"{base}/breakouts"))["people"]
    assert [(one["room"], one["here"]) for one in people if one["id"] == bob] == [(blue["id"], True)]
    assert await host.refused("POST", f"{base}/breakouts", body) == (409, "breakouts_open")

    await host.ok("POST", f"{base}/breakouts/move", {"participant": bob, "room": red["id"]})
    state = await until(node, blue["id"], lambda one: one.get("elsewhere"))
    assert state["elsewhere"] == {inside["participant"]: {"meeting": red["id"], "title": "Red"}}
    assert claims(await client.ok("POST", f"{base}/join", {}))["room"] == red["id"]

    await host.ok("POST", f"{base}/breakouts/announce", {"text": "Two minutes"})
    for room in (meeting, blue["id"], red["id"]):
        said = (await until(node, room, lambda one: one.get("announcement")))["announcement"]
        assert (said["text"], said["name"]) == ("Two minutes", "ada")

    closing = await host.ok("POST", f"{base}/breakouts/close", {"countdown_seconds": 20})
    assert not closing["open"] and all(room["closes_at"] for room in closing["rooms"])
    state = await until(node, red["id"], lambda one: one.get("closes_at"))
    assert state["returns_to"] == {"meeting": meeting, "title": "Main"}
    assert claims(await client.ok("POST", f"{base}/join", {}))["room"] == meeting
    listed = await host.ok("GET", "/api/v1/meetings")
    assert [one["title"] for one in listed["meetings"]] == ["Main"]


async def test_a_guest_keeps_its_bearer_and_goes_by_itself_where_that_is_allowed(people: People) -> None:
    host, base, joined = await a_meeting(people)
    meeting, guest = base.rpartition("/")[2], joined["guest"]
    client: Client = guest["client"]
    made = await host.ok("POST", f"{base}/breakouts", {"rooms": [{"title": "Blue"}], "may_return": False})
    blue = made["rooms"][0]["id"]
    await host.ok("POST", f"{base}/breakouts/open")
    assert await client.refused("POST", f"{base}/breakouts/move", {"room": blue}) == (403, "forbidden")
    await host.ok("POST", f"{base}/breakouts/move", {"participant": guest["participant"], "room": blue})
    nobody = people.nobody()
    inside = await nobody.ok("POST", f"{base}/join", {"rejoin_secret": guest["rejoin_secret"]})
    assert claims(inside)["room"] == blue
    again = people.bearer(inside["participant_token"])
    assert (await again.ok("GET", f"{base}/breakouts"))["place"] == blue
    assert await again.ok("GET", f"/api/v1/meetings/{blue}/participants")
    assert await again.refused("POST", f"{base}/breakouts/move", {}) == (403, "forbidden")
    other = (await host.ok("POST", f"/api/v1/meetings/{meeting}/breakouts/close", {"countdown_seconds": 0}))["rooms"]
    assert other[0]["closes_at"]
    free = {"rooms": [{"title": "Free"}], "may_choose": True}
    room = (await host.ok("POST", f"{base}/breakouts", free))["rooms"][-1]["id"]
    await host.ok("POST", f"{base}/breakouts/open")
    await again.ok("POST", f"{base}/breakouts/move", {"room": room})
    assert (await again.ok("GET", f"{base}/breakouts"))["place"] == room
    await again.ok("POST", f"{base}/breakouts/move", {})
    assert (await again.ok("GET", f"{base}/breakouts"))["place"] is None


async def test_everyone_but_hosts_is_spread_evenly(people: People) -> None:
    host, base, joined = await a_meeting(people)
    body = {"rooms": [{"title": "A"}, {"title": "B"}], "automatic": True}
    made = await host.ok("POST", f"{base}/breakouts", body)
    assigned = [room["participants"] for room in made["rooms"]]
    assert sorted(person for one in assigned for person in one) == sorted(
        joined[name]["participant"] for name in ("bob", "guest")
    )
    assert [len(one) for one in assigned] == [1, 1]
    unknown = {"rooms": [{"title": "A", "participants": ["participant_of_another"]}]}
    assert await host.refused("POST", f"{base}/breakouts", unknown) == (404, "not_found")


async def test_who_is_removed_in_a_breakout_room_is_out_of_all_rooms(people: People, node: Node) -> None:
    host, base, joined = await a_meeting(people)
    meeting, bob = base.rpartition("/")[2], joined["bob"]
    body = {"rooms": [{"title": "Blue", "participants": [bob["participant"]]}]}
    blue = (await host.ok("POST", f"{base}/breakouts", body))["rooms"][0]["id"]
    await host.ok("POST", f"{base}/breakouts/open")
    inside = await bob["client"].ok("POST", f"{base}/join", {})
    path = f"/api/v1/meetings/{blue}/participants/{inside['participant']}/remove"
    assert await joined["guest"]["client"].refused("POST", path, {}) == (403, "forbidden")
    await host.ok("POST", path, {"ban": True})
    await until(node, blue, lambda one: inside["participant"] in one.get("removed", []))
    state = await until(node, meeting, lambda one: bob["participant"] in one.get("removed", []))
    assert state["banned_users"] == [bob["client"].user["id"]]
    assert await bob["client"].refused("POST", f"{base}/join", {}) == (403, "removed")


async def test_what_happened_in_breakout_rooms_goes_with_the_meeting(people: People, dsn: str) -> None:
    host, base, joined = await a_meeting(people)
    body = {"rooms": [{"title": "Blue", "participants": [joined["bob"]["participant"]]}]}
    blue = (await host.ok("POST", f"{base}/breakouts", body))["rooms"][0]["id"]
    await host.ok("POST", f"{base}/breakouts/open")
    inside = await joined["bob"]["client"].ok("POST", f"{base}/join", {})
    person = inside["participant"]
    await report(
        host,
        {"kind": "room_opened", "room": blue, "at": AT},
        {"kind": "participant_joined", "room": blue, "at": AT, "participant": person, "name": "Bob"},
        {
            "kind": "consent",
            "room": blue,
            "at": AT,
            "participant": person,
            "consent": "recording",
            "granted": True,
            "text": "t",
        },
        {"kind": "chat", "room": blue, "at": AT, "message": "m1", "participant": person, "name": "Bob", "text": "hi"},
        n=2,
    )
    recording = await host.ok("POST", f"/api/v1/meetings/{blue}/recording/start")
    listed = (await host.ok("GET", f"{base}/recordings"))["recordings"]
    assert [(one["id"], one["title"]) for one in listed] == [(recording["id"], "Blue")]
    path = f"{base}/participants/{joined['bob']['participant']}/role"
    await host.ok("PUT", path, {"role": "co-host"})
    mine = (await joined["bob"]["client"].ok("GET", "/api/v1/recordings"))["recordings"]
    assert [one["id"] for one in mine] == [recording["id"]]
    assert (await host.ok("GET", f"/api/v1/meetings/{blue}/messages"))["messages"][0]["text"] == "hi"
    assert await joined["guest"]["client"].refused("GET", f"/api/v1/meetings/{blue}/messages") == (403, "forbidden")
    await host.ok("POST", f"{base}/end")
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT status FROM meetings WHERE id = $1", blue) == "ended"
    noted = await connection.fetchrow("SELECT * FROM operation_logs WHERE action = 'consent'")
    assert (noted["actor"], noted["target"]) == (person, blue)
    await connection.execute("UPDATE meeting_recordings SET state = 'partial'")
    await host.ok("DELETE", base)
    assert await connection.fetchval("SELECT count(*) FROM meetings") == 0
    assert await connection.fetchval("SELECT count(*) FROM outbox WHERE meeting_id IS NOT NULL") == 0
    await connection.close()


async def test_what_is_asked_for_by_signaling_starts_and_stops_a_recording(people: People, node: Node) -> None:
    host, base, joined = await a_meeting(people)
    meeting = base.rpartition("/")[2]
    wish = {"kind": "recording_wished", "room": meeting, "at": AT, "participant": joined["ada"]["participant"]}
    await report(host, {**wish, "on": True}, n=2)
    state = await until(node, meeting, lambda one: one.get("recording"))
    assert state["recording"]["started_by"] == joined["ada"]["participant"]
    await report(host, {**wish, "on": False}, n=3)
    await until(node, meeting, lambda one: one["version"] > state["version"] and not one.get("recording"))


async def test_closed_rooms_end_by_themselves(people: People, config: ControlConfig, dsn: str) -> None:
    host, base, _ = await a_meeting(people)
    blue = (await host.ok("POST", f"{base}/breakouts", {"rooms": [{"title": "Blue"}]}))["rooms"][0]["id"]
    await host.ok("POST", f"{base}/breakouts/open")
    await host.ok("POST", f"{base}/breakouts/close", {"countdown_seconds": 0})
    services = await open_services(config)
    try:
        await breakouts.close_due(services)
    finally:
        await services.close()
    assert (await host.ok("GET", f"/api/v1/meetings/{blue}"))["status"] == "ended"
    assert (await host.ok("GET", base))["status"] != "ended"


async def test_rooms_with_a_length_count_down_by_themselves(people: People, config: ControlConfig, dsn: str) -> None:
    host, base, joined = await a_meeting(people)
    meeting, bob = base.rpartition("/")[2], joined["bob"]["participant"]
    body = {"rooms": [{"title": "Blue", "participants": [bob]}], "minutes": 10}
    made = await host.ok("POST", f"{base}/breakouts", body)
    assert (made["minutes"], made["ends_at"]) == (10, None)
    opened = await host.ok("POST", f"{base}/breakouts/open")
    ends_at = datetime.fromisoformat(opened["ends_at"])
    assert timedelta(minutes=9.5) < ends_at - datetime.now(UTC) <= timedelta(minutes=10)
    services = await open_services(config)
    try:
        await breakouts.close_due(services)
        assert (await host.ok("GET", f"{base}/breakouts"))["open"]
        soon = int((time.time() + 50) * 1000)
        connection = await asyncpg.connect(dsn)
        nearly = "UPDATE meetings SET breakouts = breakouts || jsonb_build_object('ends_at', $2::bigint) WHERE id = $1"
        await connection.execute(nearly, meeting, soon)
        await connection.close()
        await breakouts.close_due(services)
    finally:
        await services.close()
    closing = await host.ok("GET", f"{base}/breakouts")
    assert (closing["open"], closing["ends_at"], closing["people"][0]["room"]) == (False, None, None)
    assert datetime.fromisoformat(closing["rooms"][0]["closes_at"]).timestamp() * 1000 == soon
    assert claims(await joined["bob"]["client"].ok("POST", f"{base}/join", {}))["room"] == meeting


async def test_what_the_main_room_changes_its_breakout_rooms_take_over(people: People, node: Node) -> None:
    host, base, joined = await a_meeting(people)
    meeting, bob = base.rpartition("/")[2], joined["bob"]["participant"]
    client: Client = joined["bob"]["client"]
    body = {"rooms": [{"title": "Blue", "participants": [bob]}, {"title": "Red"}]}
    blue, red = (one["id"] for one in (await host.ok("POST", f"{base}/breakouts", body))["rooms"])
    await host.ok("POST", f"{base}/breakouts/open")
    inside = (await client.ok("POST", f"{base}/join", {}))["participant"]
    await host.ok("POST", f"/api/v1/meetings/{blue}/participants/{inside}/mute", {"muted": ["camera"]})
    await host.ok("PUT", f"/api/v1/meetings/{red}", {"settings": {"captions": False}})

    strict = {"locked": True, "may_share": False, "may_chat": False, "may_record": True, "consent": "required"}
    await host.ok("PUT", base, {"settings": strict})
    state = await until(node, blue, lambda one: one.get("consent") == "required")
    version = state["version"]
    rights = state["participants"][inside]
    assert (rights["publish"], rights["chat"], rights["record"]) == (["microphone", "camera"], False, True)
    assert rights["muted"] == ["camera"], "what a host did stays"
    assert claims(await client.ok("POST", f"{base}/join", {}))["room"] == blue
    settings = (await host.ok("GET", f"/api/v1/meetings/{red}"))["settings"]
    assert (settings["captions"], settings["consent"]) == (False, "required"), "what was set for one room stays"
    # Locked is the main room: nobody comes in there; who is in the meeting may go to any room, for the first time too.
    assert (await until(node, meeting, lambda one: one.get("locked")))["consent"] == "required"
    assert not any(one.get("locked") for one in node.desired if one["room"] in {blue, red})
    assert await (await people.user("late")).refused("POST", f"{base}/join", {}) == (403, "locked")
    await host.ok("POST", f"{base}/breakouts/move", {"participant": bob, "room": red})
    moved = claims(await client.ok("POST", f"{base}/join", {}))
    assert (moved["room"], moved["grants"]["publish"]) == (red, ["microphone", "camera"])

    await host.ok("PUT", base, {"settings": dict.fromkeys(strict)})
    state = await until(node, blue, lambda one: one["version"] > version and "consent" not in one)
    assert "screen" in state["participants"][inside]["publish"]
