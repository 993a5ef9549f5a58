"""Meetings: scheduling, lobby and moderation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest

from control.meetings import schedule
from control.meetings.settings import ChangedSettings, MeetingSettings
from control.problem import Problem
from control.store.meetings import MeetingRow, Plan
from tests.control.harness import Node, People, come_in, report


def row(start: str, zone: str = "UTC", recurrence: str | None = None) -> MeetingRow:
    return MeetingRow(
        id="abcd-efgh-jkmn",
        host_id="h",
        title="Höhe; \nBEGIN:VEVENT",
        description="",
        status="scheduled",
        passcode_hash=None,
        settings={},
        scheduled_start=datetime.fromisoformat(start),
        scheduled_end=None,
        time_zone=zone,
        recurrence=recurrence,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        ended_at=None,
        breakout_of=None,
        closes_at=None,
        breakouts=None,
    )


@pytest.mark.parametrize(
    ("start", "zone", "recurrence", "now", "expected"),
    [
        ("2026-03-02T09:00:00+00:00", "UTC", None, "2026-03-01T00:00:00+00:00", "2026-03-02T09:00:00+00:00"),
        ("2026-03-02T09:00:00+00:00", "UTC", None, "2026-03-02T09:59:00+00:00", "2026-03-02T09:00:00+00:00"),
        ("2026-03-02T09:00:00+00:00", "UTC", None, "2026-03-02T10:01:00+00:00", None),
        # Nine in Berlin stays nine when summer time begins on 29 March 2026.
        (
            "2026-03-23T08:00:00+00:00",
            "Europe/Berlin",
            "FREQ=WEEKLY;BYDAY=MO",
            "2026-03-24T00:00:00+00:00",
            "2026-03-30T07:00:00+00:00",
        ),
        (
            "2026-03-23T08:00:00+00:00",
            "Europe/Berlin",
            "FREQ=DAILY;COUNT=2",
            "2026-03-26T00:00:00+00:00",
            None,
        ),
        # Until the end of a day in Berlin, which is in UTC as RFC 5545 wants it.
        *(
            ("2026-03-23T08:00:00+00:00", "Europe/Berlin", "FREQ=DAILY;UNTIL=20260330T215959Z", now, expected)
            for now, expected in (
                ("2026-03-29T12:00:00+00:00", "2026-03-30T07:00:00+00:00"),
                ("2026-03-30T12:00:00+00:00", None),
            )
        ),
    ],
)
def test_next_start(start: str, zone: str, recurrence: str | None, now: str, expected: str | None) -> None:
    found = schedule.next_start(row(start, zone, recurrence), datetime.fromisoformat(now))
    assert found == (None if expected is None else datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Mars/Base"},
        {"time_zone": "../../etc/passwd"},
        {"recurrence": "FREQ=SECONDLY"},
        {"recurrence": "FREQ=DAILY;BYHOUR=1,2,3"},
        {"recurrence": "FREQ=DAILY\nDTSTART:20200101"},
        {"recurrence": "nonsense"},
        {"recurrence": "FREQ=WEEKLY;BYDAY=XX"},
        {"recurrence": "FREQ=DAILY", "scheduled_start": None},
        {"scheduled_end": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_senseless_schedules_are_refused(changes: dict[str, Any]) -> None:
    plan: dict[str, Any] = {
        "title": "t",
        "description": "",
        "passcode_hash": None,
        "settings": {},
        "scheduled_start": datetime(2026, 1, 1, tzinfo=UTC),
        "scheduled_end": None,
        "time_zone": "UTC",
        "recurrence": None,
    }
    schedule.check(Plan(**plan))
    with pytest.raises(Problem) as caught:
        schedule.check(Plan(**{**plan, **changes}))
    assert caught.value.status == 400


def test_calendar_holds_one_event_whatever_the_title() -> None:
    data = schedule.calendar(row("2026-03-23T08:00:00+00:00", "Europe/Berlin", "FREQ=WEEKLY"), "https://x/m/1")
    parsed = icalendar.Calendar.from_ical(data)
    (event,) = parsed.walk("VEVENT")
    assert str(event["SUMMARY"]) == "Höhe; \nBEGIN:VEVENT"
    assert event["DTSTART"].dt.isoformat() == "2026-03-23T09:00:00+01:00"
    assert event["RRULE"]["FREQ"] == ["WEEKLY"]
    assert len(parsed.walk("VTIMEZONE")) == 1


async def test_upcoming_and_history(people: People) -> None:
    host = await people.user("ada")
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    body = {"title": "later", "scheduled_start": later, "recurrence": "FREQ=DAILY", "time_zone": "Europe/Berlin"}
    await host.ok("POST", "/api/v1/meetings", body)
    first = (await host.ok("POST", "/api/v1/meetings", {"title": "soon", "scheduled_start": soon}))["id"]
    listed = (await host.ok("GET", "/api/v1/my/meetings/upcoming"))["meetings"]
    assert [one["meeting"]["title"] for one in listed] == ["soon", "later"]
    await host.ok("POST", f"/api/v1/meetings/{first}/end")
    assert len((await host.ok("GET", "/api/v1/my/meetings/upcoming"))["meetings"]) == 1
    history = (await host.ok("GET", "/api/v1/my/meetings/history"))["meetings"]
    assert [one["title"] for one in history] == ["soon"]
    async with host.session.get(f"{host.server.url}/api/v1/meetings/{first}/calendar.ics") as answer:
        assert answer.content_type == "text/calendar"


async def test_pages_of_meetings_are_complete_and_disjoint(people: People) -> None:
    host = await people.user("ada")
    made = [(await host.ok("POST", "/api/v1/meetings", {}))["id"] for _ in range(7)]
    seen: list[str] = []
    path = "/api/v1/meetings?limit=3"
    while path:
        page = await host.ok("GET", path)
        seen += [one["id"] for one in page["meetings"]]
        path = page["next"] and f"/api/v1/meetings?limit=3&cursor={page['next']}"
    assert seen == made[::-1]
    for cursor in ("x", "%00", "MjAyMHx4", "2020"):
        assert (await host.refused("GET", f"/api/v1/meetings?cursor={cursor}"))[0] == 400


KEPT = {"lobby": True, "consent": "required", "guests": False, "mute_on_entry": True, "capacity": 20}


@pytest.mark.parametrize(
    ("method", "content_type"),
    [("PUT", "application/json"), ("PATCH", "application/json"), ("PATCH", "application/merge-patch+json")],
)
async def test_a_changed_setting_leaves_the_others(people: People, method: str, content_type: str) -> None:
    host = await people.user("ada")
    made = await host.ok("POST", "/api/v1/meetings", {"settings": KEPT, "title": "Board", "passcode": "sesame"})
    path = f"/api/v1/meetings/{made['id']}"
    header = {"Content-Type": content_type}
    changed = await host.ok(method, path, {"settings": {"locked": True}}, **header)
    assert changed["settings"] == {**made["settings"], "locked": True}
    assert (changed["title"], changed["passcode_required"]) == ("Board", True)
    changed = await host.ok(method, path, {"settings": {"lobby": None, "capacity": None}}, **header)  # RFC 7396: gone
    assert changed["settings"] == {**made["settings"], "locked": True, "lobby": False, "capacity": 500}
    assert (await host.ok("GET", path))["settings"] == changed["settings"]
    assert (await host.refused(method, path, {"settings": {"unknown": 1}}, **header))[0] == 400


async def test_two_hosts_do_not_undo_each_other(people: People) -> None:
    host = await people.user("ada")
    made = await host.ok("POST", "/api/v1/meetings", {})
    path = f"/api/v1/meetings/{made['id']}"
    async with host.session.get(host.server.url + path, headers=host.headers) as answer:
        tag = answer.headers["ETag"]
    await host.ok("PATCH", path, {"settings": {"lobby": True}}, **{"If-Match": tag})
    late = await host.refused("PATCH", path, {"settings": {"locked": True}}, **{"If-Match": tag})
    assert late == (412, "changed_meanwhile")


def test_every_setting_can_be_changed() -> None:
    changed = ChangedSettings(**dict.fromkeys(ChangedSettings.__struct_fields__))
    assert ChangedSettings.__struct_fields__ == MeetingSettings.__struct_fields__
    assert changed.onto(MeetingSettings(lobby=True, capacity=3), MeetingSettings(captions=False)) == MeetingSettings(
        captions=False
    )


async def test_lobby(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": {"lobby": True}}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    assert "token" in await host.ok("POST", f"{base}/join", {})
    guest, other = people.nobody(), people.nobody()
    status, first = await guest.call("POST", f"{base}/join", {"name": "Bob"})
    assert status == 202 and "token" not in first
    ticket = {"name": "Bob", "lobby_ticket": first["lobby_ticket"]}
    assert (await guest.call("POST", f"{base}/join", ticket))[0] == 202
    _, second = await other.call("POST", f"{base}/join", {"name": "Eve"})
    waiting = (await host.ok("GET", f"{base}/lobby"))["waiting"]
    assert [one["name"] for one in waiting] == ["Bob", "Eve"]
    await host.ok("POST", f"{base}/lobby/{waiting[0]['id']}/admit")
    await host.ok("POST", f"{base}/lobby/{waiting[1]['id']}/deny")
    forged = {"name": "Eve", "lobby_ticket": f"{waiting[0]['id']}.forged"}
    assert await other.refused("POST", f"{base}/join", forged) == (403, "lobby_ticket")
    turned = {"name": "Eve", "lobby_ticket": second["lobby_ticket"]}
    assert await other.refused("POST", f"{base}/join", turned) == (403, "denied")
    joined = await guest.ok("POST", f"{base}/join", ticket)
    assert joined["token"]
    assert await other.refused("POST", f"{base}/join", ticket) == (403, "lobby_ticket")
    # Who was in once needs no lobby any more.
    assert (await guest.ok("POST", f"{base}/join", {"rejoin_secret": joined["rejoin_secret"]}))["token"]


async def test_mute_all_spares_hosts(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    ada = (await host.ok("POST", f"{base}/join", {}))["participant"]
    bob = (await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"}))["participant"]
    came = {"kind": "participant_joined", "room": meeting, "at": 1}
    facts = [{**came, "participant": one, "name": "x"} for one in (ada, bob)]
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, *facts, n=1)
    await host.ok("POST", f"{base}/mute-all", {})
    state = await node.wait_for_version(2)
    assert {one: grant["muted"] for one, grant in state["participants"].items()} == {bob: ["microphone"]}


async def test_settings_reach_the_room(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    bob = (await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"}))["participant"]
    await host.ok("PUT", base, {"settings": {"may_share": False, "may_chat": False, "captions": False}})
    state = await node.wait_for_version(2)
    assert state["participants"][bob] == {"publish": ["microphone", "camera"], "chat": False}
    assert state["captions"] is False


async def test_a_muted_participant_unmutes_itself_where_it_may(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    bob = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    guest = people.bearer(bob["participant_token"])
    person = f"{base}/participants/{bob['participant']}"
    await host.ok("POST", f"{person}/mute", {"muted": ["microphone"]})
    await guest.ok("POST", f"{person}/unmute", {"source": "microphone"})
    assert (await node.wait_for_version(3))["participants"][bob["participant"]].get("muted", []) == []

    await host.ok("PUT", base, {"settings": {"may_unmute": False}})
    held = (await node.wait_for_version(4))["participants"][bob["participant"]]
    assert (held["muted"], held["unmute"]) == (["microphone"], False)
    assert await guest.refused("POST", f"{person}/unmute", {"source": "microphone"}) == (403, "forbidden")
    await host.ok("PUT", base, {"settings": {"may_unmute": True}})
    assert "muted" not in (await node.wait_for_version(5))["participants"][bob["participant"]]


async def test_participants_change_their_own_names_where_they_may(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    ada = (await host.ok("POST", f"{base}/join", {}))["participant"]
    bob = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    guest = people.bearer(bob["participant_token"])
    own = f"{base}/participants/{bob['participant']}/name"
    assert (await guest.ok("PUT", own, {"name": "Robert"}))["name"] == "Robert"
    assert await guest.refused("PUT", f"{base}/participants/{ada}/name", {"name": "Eve"}) == (403, "forbidden")
    assert await guest.refused("PUT", own, {"name": ""}) == (400, "invalid_request")

    await host.ok("PUT", base, {"settings": {"may_rename": False}})
    assert await guest.refused("PUT", own, {"name": "Bob"}) == (403, "forbidden")
    assert (await host.ok("PUT", own, {"name": "Bob"}))["name"] == "Bob"
    back = {"rejoin_secret": bob["rejoin_secret"], "name": "Somebody else"}
    assert (await people.nobody().ok("POST", f"{base}/join", back))["name"] == "Bob"


async def test_newcomers_of_a_webinar_watch_until_a_host_lets_them_speak(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": {"webinar": True}}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    assert (await host.ok("POST", f"{base}/join", {}))["role"] == "host"
    guest = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    assert (guest["role"], guest["meeting"]["webinar"]) == ("viewer", True)
    await host.ok("PUT", f"{base}/participants/{guest['participant']}/role", {"role": "participant"})
    back = await people.nobody().ok("POST", f"{base}/join", {"rejoin_secret": guest["rejoin_secret"]})
    assert back["role"] == "participant"


async def test_a_presenter_shares_where_participants_may_not(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": {"may_share": False}}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    guest = (await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"}))["participant"]
    await host.ok("PUT", f"{base}/participants/{guest}/role", {"role": "presenter"})
    held = (await node.wait_for_version(2))["participants"][guest]
    assert held["presenter"] is True and "screen" in held.get("publish", ["screen"])
    await host.ok("PATCH", base, {"settings": {"may_chat": False}})
    held = (await node.wait_for_version(3))["participants"][guest]
    assert held["presenter"] is True and held["chat"] is False and "screen" in held.get("publish", ["screen"])
    await host.ok("PUT", f"{base}/participants/{guest}/role", {"role": "participant"})
    held = (await node.wait_for_version(4))["participants"][guest]
    assert held.get("presenter", False) is False and "screen" not in held["publish"]


async def test_host_is_handed_over(people: People, node: Node) -> None:
    host, eve = await people.user("ada"), await people.user("eve")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    ada = (await host.ok("POST", f"{base}/join", {}))["participant"]
    successor = (await eve.ok("POST", f"{base}/join", {}))["participant"]
    guest = (await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"}))["participant"]
    role = f"{base}/participants/%s/role"
    assert await host.refused("PUT", role % guest, {"role": "host"}) == (409, "guest")
    assert await host.refused("PUT", role % ada, {"role": "viewer"}) == (403, "forbidden")
    assert await host.refused("DELETE", f"{base}/participants/{ada}") == (403, "forbidden")
    await host.ok("PUT", role % successor, {"role": "co-host"})
    await eve.ok("PUT", role % guest, {"role": "viewer"})
    assert await eve.refused("PUT", role % guest, {"role": "co-host"}) == (403, "forbidden")
    assert await eve.refused("PUT", role % successor, {"role": "participant"}) == (403, "forbidden")
    await host.ok("PUT", role % successor, {"role": "host"})
    assert (await node.wait_for_version(3))["participants"][successor]["host"] is True
    assert (await eve.ok("GET", base))["role"] == "host"
    assert (await host.ok("GET", base))["role"] == "co-host"
    assert await host.refused("DELETE", base) == (403, "forbidden")
    await eve.ok("DELETE", base)
    assert await eve.refused("GET", base) == (404, "not_found")


async def test_messages_are_edited_and_deleted_by_their_author(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    joined = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    bob = people.bearer(joined["participant_token"])
    await come_in(host, meeting, joined["participant"])
    fact = {
        "kind": "chat",
        "room": meeting,
        "at": 1,
        "message": "m1",
        "participant": joined["participant"],
        "name": "Bob",
    }
    await report(host, {**fact, "text": "helo", "reply_to": "m0", "file": "file_1"}, n=1)
    assert await host.refused("PUT", f"{base}/messages/m1", {"text": "x"}) == (403, "forbidden")
    edited = await bob.ok("PUT", f"{base}/messages/m1", {"text": "hello"})
    assert edited["text"] == "hello" and edited["edited_at"]
    assert (edited["reply_to"], edited["file"]) == ("m0", "file_1")
    await host.ok("DELETE", f"{base}/messages/m1")
    await report(host, {**fact, "text": "helo"}, n=2)
    assert (await bob.ok("GET", f"{base}/messages"))["messages"] == []


async def test_all_but_hosts_start_muted_where_the_meeting_says_so(people: People) -> None:
    host = await people.user("ada")
    for mute_on_entry in (True, False):
        made = await host.ok("POST", "/api/v1/meetings", {"settings": {"mute_on_entry": mute_on_entry}})
        path = f"/api/v1/meetings/{made['id']}/join"
        assert (await host.ok("POST", path, {}))["start_muted"] is False
        assert (await people.nobody().ok("POST", path, {"name": "Eve"}))["start_muted"] is mute_on_entry
