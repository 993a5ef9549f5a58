"""A meeting's text is only for those who are in it and visible to others."""

from typing import Any

import pytest

from tests.control.harness import Client, People, report

READ = ("messages", "captions", "captions.vtt", "minutes")


def came(meeting: str, person: str, at: int = 1) -> dict[str, Any]:
    return {"kind": "participant_joined", "room": meeting, "at": at, "participant": person, "name": "x"}


def consent(meeting: str, person: str, granted: bool, at: int) -> dict[str, Any]:
    given = {"kind": "consent", "consent": "recording", "granted": granted, "text": "v1"}
    return {**given, "room": meeting, "at": at, "participant": person}


async def reads(client: Client, base: str) -> set[str]:
    """Return what the routes of a meeting's text answer: ok, or the code of the refusal."""
    seen = set()
    for path in (*(f"{base}/{one}" for one in READ), f"/api/v1/messages/history/{base.rpartition('/')[2]}"):
        status, answer = await client.call("GET", path)
        seen.add("ok" if status == 200 else answer["code"])
    return seen


@pytest.mark.parametrize("policy", ["ask", "required"])
async def test_a_guest_who_never_connected_reads_and_says_nothing(people: People, policy: str) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": {"consent": policy}}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    await host.ok("POST", f"{base}/messages", {"text": "before"})
    joined = await people.nobody().ok("POST", f"{base}/join", {"name": "Eve"})
    guest, person = people.bearer(joined["participant_token"]), joined["participant"]
    assert await reads(guest, base) == {"not_in_room"}
    assert await guest.refused("POST", f"{base}/messages", {"text": "unseen"}) == (403, "not_in_room")

    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, came(meeting, person), n=1)
    if policy == "required":
        assert await reads(guest, base) == {"consent_required"}
        assert await guest.refused("POST", f"{base}/messages", {"text": "x"}) == (403, "consent_required")
        await report(host, consent(meeting, person, granted=True, at=2), n=2)
    assert await reads(guest, base) == {"ok"}
    await guest.ok("POST", f"{base}/messages", {"text": "seen"})
    if policy == "required":
        await report(host, consent(meeting, person, granted=False, at=3), n=3)
        assert await reads(guest, base) == {"consent_required"}
        await report(host, consent(meeting, person, granted=True, at=4), n=4)

    gone = {"kind": "participant_left", "room": meeting, "at": 5, "participant": person, "reason": "left"}
    await report(host, gone, n=5)
    assert await reads(guest, base) == {"not_in_room"}


async def test_accounts_that_were_in_may_read_on_and_invited_ones_may_not_yet(people: People) -> None:
    host, bob, cleo = [await people.user(name) for name in ("ada", "bob", "cleo")]
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    person = (await bob.ok("POST", f"{base}/join", {}))["participant"]
    await host.ok("POST", f"{base}/participants", {"username": "cleo"})
    opened = {"kind": "room_opened", "room": meeting, "at": 1}
    gone = {"kind": "participant_left", "room": meeting, "at": 5, "participant": person, "reason": "left"}
    await report(host, opened, came(meeting, person), gone, n=1)
    assert await reads(bob, base) == {"ok"}
    assert await bob.refused("POST", f"{base}/messages", {"text": "from outside"}) == (403, "not_in_room")
    assert await reads(cleo, base) == {"not_in_room"}
    assert await reads(host, base) == {"ok"}


async def test_a_guest_in_a_breakout_room_reads_both_rooms(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    bob = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    guest = people.bearer(bob["participant_token"])
    body = {"rooms": [{"title": "Blue", "participants": [bob["participant"]]}]}
    (blue,) = (await host.ok("POST", f"{base}/breakouts", body))["rooms"]
    await host.ok("POST", f"{base}/breakouts/open")
    inside = await people.nobody().ok("POST", f"{base}/join", {"rejoin_secret": bob["rejoin_secret"]})
    opened = [{"kind": "room_opened", "room": room, "at": 1} for room in (meeting, blue["id"])]
    left = {"kind": "participant_left", "room": meeting, "at": 2, "participant": bob["participant"], "reason": "left"}
    facts = [came(meeting, bob["participant"]), left, came(blue["id"], inside["participant"])]
    await report(host, *opened, *facts, n=1)
    assert await reads(guest, base) == {"ok"}
    assert await reads(guest, f"/api/v1/meetings/{blue['id']}") == {"ok"}
