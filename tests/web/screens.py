"""A walk through every screen of the page, in scripted states, for checks that apply to all of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from playwright.async_api import Page, expect

from foundation.pictures import Picture
from foundation.setting_forms import CHOICES, MINIMA
from foundation.setting_groups import GROUPS
from sfu.api import signaling, signaling_values
from sfu.api.desired_state import SharedView
from sfu.api.join_token import Grants
from tests.web.page_stage import CAPTIONS, GRACE, MEETING, RECORDING, SETTINGS, STORAGE, SUMMARY, USER, act, choose
from tests.web.scripted import ScriptedServer

expect.set_options(timeout=30_000)  # enough for a busy machine
_SESSION = {"id": "s1", "user_agent": "Firefox", "address": "192.0.2.1", "last_used_at": "2026-11-25T10:00:00Z"}
_TRACK = {"name": "Ada", "source": "microphone", "duration_ms": 61_000, "codec": "opus", "files": ["ada.webm"]}
_FILM = {"id": "f1", "state": "done", "progress": 0.4, "file": "film-f1-1.mp4", "bytes": 800_000}
_FILM |= {"options": {"ranges": [[1000, 15000]]}, "created_at": "2026-11-25T10:00:00Z"}
_NETWORK = {"way": "tcp", "roundTripMs": 83, "jitterMs": 12, "lossUp": 0.004, "lossDown": 0, "up": 640_000}
_NETWORK |= {"down": 1_930_000, "upIsAll": False, "downIsAll": True, "isDeviceBusy": False}
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
"""The time on these screens."""
ACTIVITIES = {
    "polls": [
        {"id": "poll2", "question": "Lunch?", "options": ["Soup", "Bread"], "multiple": True, "closed_at": None,
         "voters": 0, "counts": None, "own": None},
        {"id": "poll1", "question": "<b>When?</b>", "options": ["Monday <img src=x onerror=hacked()>", "Never"],
         "multiple": False, "closed_at": None, "voters": 4, "counts": [3, 1], "own": [0]},
    ],
    "questions": [
        {"id": "q1", "text": "Why <script>hacked()</script>?", "name": None, "mine": False,
         "asked_at": "2026-11-25T10:00:00Z", "answered_at": None, "votes": 3, "own": True},
    ],
}  # fmt: skip
PEOPLE = (
    signaling_values.ParticipantInfo(participant="p1", name="Ada"),
    GRACE,
    signaling_values.ParticipantInfo(participant="p3", name="王小明", host=True),
    signaling_values.ParticipantInfo(participant="p4", name="Margaret Hamilton", connected=False),
)


def _planned() -> list[dict[str, Any]]:
    """Return meetings of the next days, the first in ten minutes."""
    plans = [
        ("Weekly sync", timedelta(minutes=10), {"recurrence": "FREQ=WEEKLY", "time_zone": "Asia/Tokyo"}),
        ("Interview: 王小明", timedelta(days=1), {"passcode_required": True, "settings": {"lobby": True}}),
        ("Board", timedelta(days=6), {"role": "participant"}),
    ]
    return [
        {
            "meeting": MEETING
            | {"id": f"p{number}", "title": title, "status": "scheduled", "host": USER["id"], "role": "host"}
            | {"scheduled_start": (NOW + after).isoformat(), "scheduled_end": (NOW + after + HOUR).isoformat()}
            | more,
            "next_start": (NOW + after).isoformat(),
        }
        for number, (title, after, more) in enumerate(plans)
    ]


_AT = "2026-11-25T10:00:00Z"


def server_settings(**changed: Any) -> dict[str, Any]:
    """Return the settings of a server, those in `changed` as an administrator set them, and the log level locked."""
    rows = []
    for group in GROUPS:
        for one in (setting for setting in group.settings if setting.live):
            kind = {bool: "boolean", int: "integer", list: "list", Picture: "picture"}.get(one.kind, "string")
            default = list(one.default) if one.kind is list else one.default
            mine, locked = one.name in changed, one.name == "log_level"
            row = {"name": one.name, "group": group.key, "description": one.meaning, "type": kind, "default": default}
            row |= {"choices": list(CHOICES.get(one.name, ())), "minimum": MINIMA.get(one.name)}
            row |= {"value": changed.get(one.name, default), "changed_at": _AT if mine else None}
            row |= {"changed_by": "Ada" if mine else None, "locked": locked}
            row |= {"source": "admin" if mine else "environment" if locked else "default"}
            rows.append(row | {"origin": "environment PARLEY_LOG_LEVEL" if locked else None})
    return {"settings": rows}


def _day(number: int) -> dict[str, Any]:
    """Return the use of one day of thirty; storage was not measured on the first nine."""
    day = {"day": f"{NOW - timedelta(days=29 - number):%Y-%m-%d}", "calls": number * 7 % 23}
    day |= {"participants": number * 11 % 61, "minutes": number * 137 % 1901, "failed_joins": number % 9 // 8}
    measured = number >= 9
    return day | {
        "recording_bytes": number * 40_000_000 if measured else None,
        "file_bytes": 7_000_000 if measured else None,
    }


ADMINISTRATION: dict[str, Any] = {
    "/admin/meetings/stats": {
        "users": 12, "meetings": 340, "active_meetings": 2, "participants_present": 9, "tracks": 18, "recordings": 51,
        "recording_now": 1,
    },
    "/admin/usage": {"days": [_day(number) for number in range(30)]},
    "/admin/users": {"users": [
        USER | {"id": "u2", "username": "grace", "display_name": "Grace <b>Hopper</b>", "email": "grace@example.org",
                "email_verified": True, "state": "active", "created_at": _AT},
        USER | {"id": "u3", "username": "mallory", "display_name": "Mallory", "email": None, "email_verified": False,
                "state": "banned", "created_at": _AT},
    ], "next": None},
    "/stats/rooms": {"rooms": [{"meeting": "m1", "title": "Design review", "node": "sfu-1", "opened_at": _AT,
                                "participants": 4, "tracks": 9, "recording": True, "kbps_in": 6840, "kbps_out": 9120}]},
    "/admin/meetings": {"meetings": [{"id": "m1", "title": "Design review", "host": "u2", "status": "active",
                                      "created_at": _AT, "participants": 4}], "next": "more"},
    "/webhooks": {"webhooks": [{"id": "w1", "url": "https://example.org/hook", "kinds": ["*"], "all_meetings": True,
                                "created_at": _AT, "livekit_key": None, "secret": None}]},
    "/admin/nodes": {"nodes": [
        {"node": "sfu-1", "region": "eu", "alive": True, "draining": False, "overloaded": False, "cpu": 0.12,
         "rooms": 3, "participants": 9},
        {"node": "sfu-2", "region": "eu", "alive": True, "draining": False, "overloaded": True, "cpu": 0.98,
         "rooms": 40, "participants": 150},
    ]},
    "/admin/api-keys": {"keys": [
        {"id": "a1", "name": "Booking system", "scopes": ["admissions:write"], "user_id": "u2", "username": "grace",
         "created_at": _AT, "expires_at": None, "last_used_at": _AT},
    ], "next": None},
    "/admin/invitations": {"invitations": [
        {"id": "i1", "email": "katherine@example.org", "created_by": "ada", "created_at": _AT, "expires_at": _AT},
        {"id": "i2", "email": None, "created_by": "ada", "created_at": _AT, "expires_at": _AT},
    ], "next": None},
    "/admin/users/u2/sessions": {"sessions": [
        {"id": "s1", "user_agent": "Firefox 150", "address": "192.0.2.7", "created_at": _AT, "last_used_at": _AT,
         "current": False},
    ], "next": None},
    "/admin/stream-keys": {"keys": [
        {"id": "k1", "name": "Front door camera", "role": "publish", "meeting": "m1", "title": "Design review",
         "owner": "grace", "created_at": _AT, "expires_at": None, "last_used_at": _AT},
    ], "next": None},
    "/admin/livekit-keys": {"keys": [
        {"id": "APIk3fX9sLq2VbT7wYz", "name": "Telehealth app", "configured": False, "created_at": _AT,
         "last_used_at": None, "secret": None},
        {"id": "booking", "name": "booking", "configured": True, "created_at": None, "last_used_at": None,
         "secret": None},
    ], "next": None},
    "/admin/storage": {"owners": [
        {"user_id": "u2", "username": "grace", "display_name": "Grace Hopper", "recordings": 2,
         "recording_bytes": 3_000_000_000, "files": 1, "file_bytes": 48_000},
    ], "quota_bytes": 1},
    "/admin/recordings": {"recordings": [
        {"id": "r1", "title": "Design review", "owner": "grace", "state": "ready", "started_at": _AT,
         "duration_ms": 61_000, "bytes": 1_000_000, "held": False},
    ], "next": None},
    "/admin/settings": server_settings(registration="invite", quota_bytes=5 * 10**9),
    "/admin/audit": {"entries": [{"id": 1, "at": _AT, "actor": "u1", "action": "ban_user", "target": "u3",
                                  "address": "192.0.2.1", "detail": {"why": "<i>spam</i>"}}], "next": None},
}  # fmt: skip


def prepare(server: ScriptedServer) -> None:
    """Set the responses that the screens need."""
    server.answers.update({("GET", path): (200, answer) for path, answer in ADMINISTRATION.items()})
    soon = MEETING | {"id": "m2", "title": "Weekly sync", "status": "scheduled"}
    soon |= {"scheduled_start": "2026-12-01T09:00:00Z", "passcode_required": True}
    ended = MEETING | {
        "id": "m3",
        "title": "Retrospective with a title that is far too long for its row",
        "status": "ended",
        "started_at": "2026-11-20T10:00:00Z",
    }
    answers: dict[str, Any] = {
        "/server": {"registration": "open", "setup_needed": True, "identity_providers": ["Example"]},
        "/my/meetings/history": {"meetings": [ended], "next": "more"},
        "/my/meetings/upcoming": {"meetings": _planned()},
        "/meetings/m1/summary": SUMMARY | {"passcode_required": True},
        "/meetings/m1": MEETING | {"settings": SETTINGS},
        "/meetings/m1/lobby": {"waiting": [{"id": "l1", "name": "Katherine"}]},
        "/meetings/m1/participants": {"participants": [{"participant": "p9", "name": "Mallory", "removed": True}]},
        "/meetings/m1/breakouts": {
            "rooms": [{"id": "b1", "title": "Room 1", "present": 0, "participants": ["p2"], "closes_at": None}],
            "people": [{"id": "p1", "name": "Ada", "room": None, "here": True},
                       {"id": "p2", "name": "Grace Hopper", "room": "b1", "here": True},
                       {"id": "p3", "name": "王小明", "room": "b1", "here": False}],
            "open": False, "place": None, "may_choose": False, "may_return": True, "minutes": 0, "ends_at": None,
        },
        "/meetings/m1/activities": ACTIVITIES,
        "/meetings/m1/recordings": {
            "recordings": [
                RECORDING,
                RECORDING | {"id": "r2", "state": "partial", "problems": ["cam: 3 packets are lost"]},
            ],
            "storage": STORAGE
            | {"free_bytes": 5 * 10**9, "days_left": 12.5, "used_bytes": 4_600_000_000, "quota_bytes": 5 * 10**9},
        },
        "/meetings/m1/minutes": {"state": "done", "text": "We met.", "model": "a model", "error": None},
        "/recordings": {"recordings": [RECORDING, RECORDING | {"id": "r2", "state": "partial"}], "storage": STORAGE},
        "/recordings/r1": {"recording": RECORDING, "tracks": [_TRACK], "composition": None},
        "/recordings/r1/captions": {"captions": CAPTIONS},
        "/shared/secret": {"recording": RECORDING, "tracks": [], "composition": _FILM, "clip": True,
                           "expires_at": "2026-12-01T10:00:00Z"},
        "/shared/secret/captions": {"captions": CAPTIONS},
        "/recordings/r1/films": {"films": [_FILM, _FILM | {"id": "f2", "state": "running", "file": None}]},
        "/recordings/r1/links": {"links": [{"id": "l1", "expires_at": "2026-12-01T10:00:00Z"}]},
        "/users/notifications": {"film": True, "minutes": False, "sign_in": True, "reminder": False, "lobby": False,
                                 "language": "", "address": "ada@example.org"},
        "/users/passkeys": {"passkeys": [{"id": "k1", "name": "Laptop", "created_at": "2026-11-25T10:00:00Z"}]},
        "/users/api-keys": {"keys": [
            {"id": "a1", "name": "Calendar", "scopes": ["meetings:read", "meetings:write"], "created_at": _AT,
             "expires_at": "2036-12-01T10:00:00Z", "last_used_at": None},
        ]},
        "/users/sessions": {"sessions": [_SESSION | {"current": True}, _SESSION | {"id": "s2", "current": False}]},
    }  # fmt: skip
    server.answers.update({("GET", path): (200, answer) for path, answer in answers.items()})
    office = MEETING | {"id": "m4", "title": "Office hours", "status": "scheduled", "role": "host", "host": USER["id"]}
    latest = [MEETING, soon, ended, office]
    server.answers["GET", "/meetings"] = lambda request: (
        200,
        {"meetings": [one for one in latest if request.query.get("status") in (None, one["status"])], "next": None},
    )
    totp = {"secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/Parley:ada?secret=JBSWY3DPEHPK3PXP&issuer=Parley"}
    server.answers["POST", "/users/totp/begin"] = (200, totp)


async def outside(view: Page, server: ScriptedServer) -> AsyncIterator[str]:
    """Show each screen outside of a call; yield its name while it is shown."""
    await view.goto(server.url)
    await expect(view.locator(".welcome")).to_be_visible()
    yield "welcome"
    await view.locator(".aside .link").first.click()
    yield "register"
    await view.locator("[data-action=display]").click()
    yield "display"
    await view.goto(f"{server.url}/setup?token=x")
    await expect(view.locator("h1")).to_be_visible()
    yield "setup"
    await view.goto(f"{server.url}/nowhere")
    await expect(view.locator("h1")).to_be_visible()
    yield "nowhere"
    signed_out = server.answers.get(("GET", "/users/profile"))
    server.answers["GET", "/users/profile"] = (200, USER | {"email": "ada@example.org", "email_verified": True})
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    await view.goto(server.url)
    await expect(view.locator(".meeting-row")).to_have_count(5)
    yield "home"
    await view.locator(".meeting-row .menu > button").nth(1).click()
    yield "home-menu"
    await view.keyboard.press("Escape")
    await view.locator("#tab-past").click()
    await expect(view.locator(".meeting-row")).to_have_count(1)
    yield "home-past"
    planned = server.answers["GET", "/my/meetings/upcoming"]
    known = server.answers["GET", "/meetings"]
    server.answers["GET", "/my/meetings/upcoming"] = server.answers["GET", "/meetings"] = (
        200,
        {"meetings": [], "next": None},
    )
    await view.locator("#tab-upcoming").click()
    await expect(view.locator(".steps")).to_be_visible()
    yield "home-first"
    server.answers["GET", "/my/meetings/upcoming"] = planned
    server.answers["GET", "/meetings"] = known
    await view.locator(".home-actions button").nth(1).click()
    await view.locator("select[name=repeat]").select_option("weekly")
    yield "schedule"
    await view.locator(".more-options summary").click()
    yield "schedule-options"
    await view.keyboard.press("Escape")
    await view.goto(f"{server.url}/account")
    await view.locator("section:nth-of-type(2) button[type=submit]").first.click()
    await expect(view.locator(".qr-code")).to_be_visible()
    yield "account"
    await view.locator(".account .more-options summary").click()
    await view.locator(".account .more-options summary").scroll_into_view_if_needed()
    yield "account-keys"
    await view.goto(f"{server.url}/recordings")
    await expect(view.locator(".film-card")).to_have_count(2)
    yield "all-recordings"
    await view.locator(".film-card a").first.click()
    await expect(view.locator(".lanes li")).to_have_count(2)
    await view.get_by_role("searchbox").fill("budget")
    yield "recording"
    await view.locator(".watch-head button").first.click()
    await expect(view.locator("dialog .link-list li")).to_have_count(1)
    yield "share"
    await view.keyboard.press("Escape")
    await view.locator(".watch-head button").nth(1).click()
    yield "clip"
    await view.keyboard.press("Escape")
    await view.goto(f"{server.url}/s/secret")
    await expect(view.locator(".clip-line").first).to_be_visible()
    yield "shared-clip"
    await view.goto(f"{server.url}/m/m1/recordings")
    await view.locator(".recording summary").first.click()
    await expect(view.locator("audio")).to_be_visible()
    await expect(view.locator(".minutes-text")).to_be_visible()
    yield "recordings"
    await view.locator(".recorded-file .icon-button").last.click()
    yield "links"
    admin = USER | {"email": "ada@example.org", "email_verified": True, "role": "admin"}
    server.answers["GET", "/users/profile"] = (200, admin)
    # The page remembers who signed in until it is reloaded.
    for section in ("", "/usage", "/people", "/meetings", "/storage", "/keys", "/webhooks", "/settings", "/audit"):
        await view.goto(f"{server.url}/admin{section}")
        await expect(view.locator(".data-table tbody tr, .counts .card, .server-setting, .chart").first).to_be_visible()
        yield f"admin{section.replace('/', '-')}"
    del server.answers["GET", "/users/profile"]
    if signed_out is not None:
        server.answers["GET", "/users/profile"] = signed_out


async def inside(view: Page, server: ScriptedServer) -> AsyncIterator[str]:
    """Show each screen of a call; yield its name while it is shown."""
    await view.goto(f"{server.url}/m/m1")
    await view.locator("input[name=name]").fill("Ada")
    await view.locator("input[name=passcode]").fill("secret")
    yield "prejoin"
    await view.evaluate(
        "async (figures) => void (await import('/app/network-test-dialog.js')).showNetworkTest(async () => figures)",
        _NETWORK,
    )
    await view.locator(".network-test summary").click()
    yield "network-test"
    await view.keyboard.press("Escape")
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome(participants=list(PEOPLE[:1]))
    await expect(view.locator(".alone")).to_be_visible()
    yield "alone"
    await view.locator(".alone button").click()
    await expect(view.locator("dialog .qr-code")).to_be_visible()
    yield "invite"
    await view.keyboard.press("Escape")
    await session.send(signaling.ParticipantJoined(participant=PEOPLE[1]))
    await expect(view.locator("[data-id=p2]")).to_be_visible()
    yield "call-two"
    for person in PEOPLE[2:]:
        await session.send(signaling.ParticipantJoined(participant=person))
    await expect(view.locator("[data-id=p4]")).to_be_visible()
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant="p3", level=10)]))
    for person, since in ((PEOPLE[1], 2), (PEOPLE[2], 1)):
        raised = msgspec.structs.replace(person, hand=since)
        await session.send(signaling.ParticipantUpdated(participant=raised))
    await session.send(signaling.Reaction(emoji="👏", participant="p2"))
    await act(view, "react")
    await expect(view.locator(".cheer")).to_be_visible()
    yield "call-four"
    await view.keyboard.press("Escape")
    await act(view, "layout")
    await view.get_by_label("statistics").or_(view.get_by_label("统计")).check()
    await expect(view.locator(".tile-statistics").first).to_be_visible()
    yield "view"
    await choose(view, "mode", "speaker")
    await expect(view.locator(".stage .tile-person")).to_be_visible()
    yield "speaker"
    await view.keyboard.press("x")
    await expect(view.locator(".tile-statistics")).to_have_count(0)
    await act(view, "layout")
    await choose(view, "mode", "side")
    await session.send(
        signaling.Chat(text="Here it is: https://example.org/a", id="c1", participant="p2", name="Grace Hopper", at=1)
    )
    await session.send(signaling.Chat(text="Only for you", id="c2", participant="p3", name="王小明", at=2, to="p1"))
    await act(view, "chat")
    await expect(view.locator(".message")).to_have_count(2)
    yield "chat"
    await view.keyboard.press("Escape")
    await session.send(signaling.GrantsChanged(grants=Grants(host=True)))
    recording = signaling_values.RecordingState(active=True, recording="r1", started_at=1, text="recording-1")
    await session.send(signaling.RecordingChanged(state=recording))
    await act(view, "people")
    await expect(view.get_by_text("Katherine")).to_be_visible()
    await expect(view.locator(".breakouts")).to_be_visible()
    yield "people"
    await view.locator("[data-host=controls]").click()
    await expect(view.locator("dialog input[name=locked]")).to_be_visible()
    yield "host-controls"
    await view.keyboard.press("Escape")
    await view.locator("[data-host=more]").first.click()
    await expect(view.locator("dialog [data-host=remove]")).to_be_visible()
    yield "participant"
    await view.keyboard.press("Escape")
    await view.locator(".panel-people .panel-head button").click()
    await session.send(signaling.Shared(state=SharedView(timer_ends_at=4_000_000_000_000, activities=2)))
    await act(view, "activities")
    await expect(view.locator(".question")).to_be_visible()
    await view.locator(".activity-tools summary").click()
    yield "activities"
    await view.locator(".panel-activities .panel-head button").click()
    await act(view, "notes")
    await view.locator("textarea.notes-text").fill("Agenda\n1. Budget\n2. 春季计划")
    yield "notes"
    await view.locator(".panel-notes .panel-head button").last.click()
    await act(view, "board")
    await view.locator("[data-tool=text]").press("Enter")
    await view.keyboard.type("Budget <b>2027</b>")
    await view.keyboard.press("Enter")
    await expect(view.locator(".board-paper li")).to_have_text("Budget <b>2027</b>")
    await expect(view.locator(".board-writing")).to_have_count(0)
    yield "board"
    await view.locator(".panel-board .panel-head button").last.click()
    screen = signaling_values.TrackInfo(track="s1", participant="p2", source="screen", media="video", codec="VP8")
    await session.send(signaling.TrackPublished(track=screen))
    await expect(view.locator(".stage .tile")).to_be_visible()
    yield "side"
    await act(view, "layout")
    await choose(view, "mode", "grid")
    await act(view, "captions")
    yield "stage"
    await act(view, "help")
    yield "shortcuts"
    await view.keyboard.press("Escape")
    await act(view, "devices")
    yield "settings"
    await view.locator("[data-settings=effects]").click()
    await expect(view.locator(".effects-preview")).to_be_visible()
    yield "effects"
    await view.keyboard.press("Escape")
    await view.keyboard.press("Escape")
    await act(view, "leave")
    yield "leave"
    await view.locator("dialog .primary").click()
    await expect(view.locator(".left")).to_be_visible()
    yield "left"
