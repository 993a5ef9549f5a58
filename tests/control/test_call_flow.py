"""The flow of a call: register, create, join, the node's desired state, its facts, and the end."""

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from control.nodes import desired_changes
from sfu.api.desired_state import MAX_POLLED_ROOMS
from tests.control.harness import NODE_SECRET, Client, Node, People, report

NODE = {"Authorization": f"Bearer {NODE_SECRET}"}


async def internal(client: Client, path: str, **headers: str) -> tuple[int, Any]:
    async with client.session.get(f"{client.server.internal}/internal/v1/{path}", headers=headers) as answer:
        return answer.status, await answer.json()


async def meeting_of(host: Client, **body: Any) -> str:
    created = await host.ok("POST", "/api/v1/meetings", body)
    return str(created["id"])


async def test_join_token_verifies_with_published_key(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, title="Talk")
    joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    status, answer = await internal(host, "keys", **NODE)
    assert status == 200
    key = answer["keys"][0]
    assert jwt.get_unverified_header(joined["token"]) == {"alg": "EdDSA", "kid": key["kid"], "typ": "JWT"}
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
    claims = jwt.decode(joined["token"], public, algorithms=["EdDSA"], audience="parley-sfu")
    assert claims["room"] == meeting
    assert claims["participant"] == joined["participant"]
    assert claims["grants"]["host"] is True
    assert claims["exp"] - claims["iat"] == 60
    assert joined["signaling_url"] == f"/ws/signaling?meeting={meeting}"


async def test_internal_routes_need_the_node_secret(people: People) -> None:
    nobody = people.nobody()
    for path in ("keys", "rooms/x/desired", "desired-states", "facts", "route"):
        assert (await internal(nobody, path))[0] == 401
        assert (await internal(nobody, path, Authorization="Bearer other"))[0] == 401


async def test_guest_joins_with_name_and_returns_with_rejoin_secret(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    join = f"/api/v1/meetings/{meeting}/join"
    guest = people.nobody()
    assert await guest.refused("POST", join, {}) == (400, "name_required")
    first = await guest.ok("POST", join, {"name": "Bob"})
    assert first["role"] == "participant"
    again = await guest.ok("POST", join, {"rejoin_secret": first["rejoin_secret"]})
    assert again["participant"] == first["participant"]
    assert again["name"] == "Bob"
    assert await guest.refused("POST", join, {"rejoin_secret": first["rejoin_secret"]}) == (403, "rejoin_secret")
    listed = await people.bearer(again["participant_token"]).ok("GET", f"/api/v1/meetings/{meeting}/participants")
    assert [person["name"] for person in listed["participants"]] == ["Bob"]


async def test_passcode_and_lock_keep_newcomers_out(people: People) -> None:
    host, other = await people.user("ada"), await people.user("eve")
    meeting = await meeting_of(host, passcode="sesame")
    join = f"/api/v1/meetings/{meeting}/join"
    assert await other.refused("POST", join, {}) == (403, "passcode_required")
    assert await other.refused("POST", join, {"passcode": "open"}) == (403, "wrong_passcode")
    await host.ok("POST", join, {})
    joined = await other.ok("POST", join, {"passcode": "sesame"})
    await host.ok("PUT", f"/api/v1/meetings/{meeting}", {"settings": {"locked": True}})
    assert await people.nobody().refused("POST", join, {"name": "x", "passcode": "sesame"}) == (403, "locked")
    back = await people.nobody().ok("POST", join, {"rejoin_secret": joined["rejoin_secret"]})
    assert back["participant"] == joined["participant"]


async def test_moderation_reaches_node_and_holds(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    eve = await people.user("eve")
    joined = await eve.ok("POST", f"{base}/join", {})
    person = joined["participant"]

    await host.ok("POST", f"{base}/participants/{person}/mute", {"muted": ["microphone"]})
    state = await node.wait_for_version(2)
    assert state["participants"][person]["muted"] == ["microphone"]

    await host.ok("PUT", f"{base}/participants/{person}/role", {"role": "viewer"})
    state = await node.wait_for_version(3)
    assert state["participants"][person]["publish"] == []
    assert state["participants"][person]["muted"] == ["microphone"]

    assert await eve.refused("POST", f"{base}/participants/{person}/mute", {"muted": []}) == (403, "forbidden")
    await host.ok("POST", f"{base}/participants/{person}/remove", {"ban": True})
    state = await node.wait_for_version(4)
    assert state["removed"] == [person]
    assert state["banned_users"] == [eve.user["id"]]
    assert await eve.refused("POST", f"{base}/join", {}) == (403, "removed")
    guest = people.nobody()
    body = {"rejoin_secret": joined["rejoin_secret"]}
    assert await guest.refused("POST", f"{base}/join", body) == (403, "removed")
    status, pulled = await internal(host, f"rooms/{meeting}/desired", **NODE)
    assert (status, pulled["version"]) == (200, 4)


async def changes(client: Client, **known: dict[str, int]) -> Any:
    """Ask like node sfu-1 which of these rooms' desired states have changed."""
    url = f"{client.server.internal}/internal/v1/desired-states"
    async with client.session.post(url, json={"node": "sfu-1", "rooms": known}, headers=NODE) as answer:
        return answer.status, await answer.json()


async def test_a_node_asks_once_for_what_changed_in_all_its_rooms(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await people.user("ada")
    first, second = [await meeting_of(host) for _ in range(2)]
    for meeting in (first, second):
        await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    (_, answer) = await changes(host, **{first: {"version": -1}, second: {"version": -1}, "gone": {"version": 3}})
    assert {state["room"] for state in answer["changed"]} == {first, second}
    assert {state["placement"]["node"] for state in answer["changed"]} == {"sfu-1"}
    assert answer["unknown"] == ["gone"]
    known = {state["room"]: {"version": state["version"], "epoch": 1} for state in answer["changed"]}
    assert await changes(host, **known) == (200, {})

    await host.ok("PUT", f"/api/v1/meetings/{second}", {"settings": {"locked": True}})
    (_, answer) = await changes(host, **known)
    assert [(state["room"], state["locked"]) for state in answer["changed"]] == [(second, True)]
    known[second]["version"] = answer["changed"][0]["version"]
    (_, answer) = await changes(host, **known | {first: {**known[first], "epoch": 0}})  # placed again since
    assert [state["room"] for state in answer["changed"]] == [first]

    monkeypatch.setattr(desired_changes, "_ENOUGH_BYTES", 1)
    (_, answer) = await changes(host, **{first: {"version": -1}, second: {"version": -1}})
    assert (len(answer["changed"]), answer["more"]) == (1, True)
    status, _ = await changes(host, **{f"r{number}": {"version": 0} for number in range(MAX_POLLED_ROOMS + 1)})
    assert status == 400


async def test_facts_become_rows_and_gapless_events(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    person = joined["participant"]
    opened = {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}
    came = {"kind": "participant_joined", "room": meeting, "at": 1_700_000_000_001, "participant": person, "name": "A"}
    stray = {"kind": "participant_joined", "room": "no-such", "at": 1, "participant": "x", "name": "y"}
    for _ in range(2):
        assert await report(host, opened, stray, came, n=1) == {"acknowledged": 1}
    detail = await host.ok("GET", f"/api/v1/meetings/{meeting}")
    assert detail["status"] == "active"
    room = await host.ok("GET", f"/api/v1/meetings/{meeting}/room")
    assert room["live"] and room["node"] == "sfu-1"
    gone = {"kind": "room_closed", "room": meeting, "at": 1_700_000_060_000}
    await report(host, gone, n=2)
    people_now = await host.ok("GET", f"/api/v1/meetings/{meeting}/participants")
    assert people_now["participants"][0]["present"] is False
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}"))["status"] == "idle"


async def test_another_boot_of_a_node_closes_what_the_earlier_left(people: People) -> None:
    host = await people.user("ada")
    meetings = [await meeting_of(host) for _ in range(2)]
    for n, meeting in enumerate(meetings, start=1):
        joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
        came = {
            "kind": "participant_joined",
            "room": meeting,
            "at": 2,
            "participant": joined["participant"],
            "name": "A",
        }
        await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, came, n=n)
    await report(host, {"kind": "room_opened", "room": meetings[0], "at": 9}, n=1, boot="b2")
    states = [await host.ok("GET", f"/api/v1/meetings/{meeting}") for meeting in meetings]
    assert [state["status"] for state in states] == ["active", "idle"]


async def test_end_is_final(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    base = f"/api/v1/meetings/{meeting}"
    guest = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    await host.ok("POST", f"{base}/end")
    assert (await node.wait_for_version(2))["ended"] is True
    assert await host.refused("POST", f"{base}/join", {}) == (410, "meeting_ended")
    assert await people.bearer(guest["participant_token"]).refused("GET", base) == (403, "forbidden")
