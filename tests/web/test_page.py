"""The page: what it shows before, during and after a call, and that it keeps to the policy it is served under."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants, Source
from tests.web.conftest import open_page
from tests.web.scripted import ScriptedServer, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUMMARY = {
    "id": "m1",
    "title": "Design review",
    "status": "active",
    "passcode_required": False,
    "guests": True,
    "locked": False,
    "role": None,
}
USER = {"id": "u1", "username": "ada", "display_name": "Ada", "role": "user"}
MEETING = SUMMARY | {"created_at": "2026-11-25T10:00:00Z", "scheduled_start": None}
RECORDING = {
    "id": "r1",
    "started_at": "2026-11-25T10:00:00Z",
    "duration_ms": 61_000,
    "bytes": 1_000_000,
    "state": "ready",
}
STORAGE = {"healthy": True, "problem": "", "free_bytes": None, "days_left": None}
GRACE = signaling_values.ParticipantInfo(participant="p2", name="Grace Hopper")


WIDE = (1280, 800)
PHONE = (390, 844)
at_both_sizes = pytest.mark.parametrize("view", [WIDE, PHONE], ids=["wide", "phone"], indirect=True)


@pytest_asyncio.fixture(loop_scope="module")
async def view(chromium: Browser, server: ScriptedServer, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page, wide unless parametrized; what the policy of the server forbids fails the test."""
    width, height = getattr(request, "param", WIDE)
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    async with open_page(chromium, viewport={"width": width, "height": height}) as page:
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        yield page
        assert not complaints, complaints


async def enter(view: Page, server: ScriptedServer, **room: Any) -> Session:
    """Join as Ada, with Grace there."""
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    session = await server.session()
    people = [signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
    await session.welcome(**({"participants": people} | room))
    await expect(view.locator("[data-id=p2]")).to_be_visible()
    return session


async def fits(view: Page) -> None:
    before = view.viewport_size
    assert before is not None
    for width, height in (WIDE, PHONE):
        await view.set_viewport_size({"width": width, "height": height})
        size = await view.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] <= size[1], f"the page scrolls sideways at {width} pixels"
    await view.set_viewport_size(before)


async def act(view: Page, action: str) -> None:
    """Use the bar as a person would: on a narrow screen some of it is behind "More"."""
    button = view.locator(f"[data-action={action}]")
    if not await button.is_visible():
        await view.get_by_role("button", name="More", exact=True).click()
    await button.click()


async def test_signing_in_leads_to_the_meetings(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/server"] = (200, {"registration": "open", "setup_needed": False})
    server.answers["POST", "/auth/login"] = (403, {"code": "wrong_credentials", "detail": "Name or password is wrong."})
    await view.goto(server.url)
    await fits(view)
    await view.get_by_label("User name or e-mail").fill("ada")
    await view.get_by_label("Password").fill("wrong")
    await view.get_by_role("button", name="Sign in").click()
    await expect(view.get_by_role("alert").last).to_have_text("Name or password is wrong.")
    server.answers["POST", "/auth/login"] = (200, {"user": USER, "csrf_token": "c"})
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/meetings"] = (200, {"meetings": [MEETING], "next": None})
    await view.get_by_role("button", name="Sign in").click()
    await expect(view.get_by_role("heading", name="Design review")).to_be_visible()
    await fits(view)


async def test_an_account_is_created_and_a_meeting_made(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/server"] = (200, {"registration": "open", "setup_needed": False})
    server.answers["POST", "/auth/register"] = (201, {"user": USER, "csrf_token": "c"})
    await view.goto(server.url)
    await view.get_by_role("button", name="Create an account").click()
    await view.get_by_label("User name").fill("ada")
    await view.get_by_label("E-mail").fill("ada@example.org")
    await view.get_by_label("Password").fill("correct horse")
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/meetings"] = (200, {"meetings": [], "next": None})
    server.answers["POST", "/meetings"] = (201, MEETING)
    await view.get_by_role("button", name="Create account").click()
    await view.get_by_label("Title").fill("Design review")
    await view.get_by_role("button", name="Create meeting").click()
    await expect(view.locator("#join")).to_be_visible()
    created = [body for method, path, body in server.requests if (method, path) == ("POST", "/meetings")]
    settings = {"guests": True, "lobby": False, "e2ee": False, "consent": "ask", "codec": "VP8"}
    assert created == [{"title": "Design review", "settings": settings}]


async def test_the_setup_link_does_not_stay_in_the_address(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/setup"] = (201, {"user": USER, "csrf_token": "c"})
    server.answers["GET", "/meetings"] = (200, {"meetings": [], "next": None})
    await view.goto(f"{server.url}/setup?token=secret")
    await fits(view)
    assert "secret" not in view.url
    await view.get_by_label("User name").fill("ada")
    await view.get_by_label("E-mail").fill("ada@example.org")
    await view.get_by_label("Password").fill("correct horse")
    server.answers["GET", "/users/profile"] = (200, USER)
    await view.get_by_role("button", name="Create administrator").click()
    await expect(view.get_by_role("heading", name="Your meetings")).to_be_visible()
    sent = next(body for _, path, body in server.requests if path == "/setup")
    assert sent["token"] == "secret"


async def test_a_guest_gives_name_passcode_and_consents(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY | {"passcode_required": True})
    server.answers["POST", "/meetings/m1/join"] = (403, {"code": "wrong_passcode", "detail": "The passcode is wrong."})
    await view.goto(f"{server.url}/m/m1")
    await fits(view)
    await view.get_by_label("Your name").fill("Ada")
    await view.get_by_label("Passcode").fill("guess")
    await view.locator("#join").click()
    await expect(view.get_by_role("alert").filter(has_text="passcode")).to_be_visible()
    del server.answers["POST", "/meetings/m1/join"]
    await view.get_by_label("Passcode").fill("right")
    await view.get_by_label("I agree to be recorded").check()
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    assert [body["passcode"] for body in server.joins()] == ["guess", "right"]
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=True)
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="captions-1", captions=False)


async def test_an_insecure_address_says_why_and_offers_another(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/server"] = (200, {"registration": "open", "setup_needed": False, "https_port": 9443})
    await view.goto(f"http://plain.test:{server.http_port}/m/m1")
    notice = view.locator("#insecure")
    await expect(notice).to_contain_text("plain HTTP")
    await expect(notice.get_by_role("link")).to_have_attribute("href", "https://plain.test:9443/m/m1")
    await expect(view.locator("#join")).to_have_text("Join as viewer")
    await fits(view)
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    await expect(view.locator("[data-action=microphone]")).to_be_disabled()
    assert (await session.next_of(signaling.Consent)).recording is False
    await session.next_of(signaling.Consent)
    assert session.quiet(), "a viewer offers nothing"


@at_both_sizes
async def test_keys_and_buttons_do_the_same(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.next_of(signaling.Offer)
    microphone = view.locator("[data-action=microphone]")
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.keyboard.press("m")
    await expect(microphone).to_have_attribute("title", "Unmute (m)")
    await microphone.click()
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.keyboard.press("t")
    await view.get_by_label("Message", exact=True).fill("m")
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.locator(".panel-chat").get_by_role("button", name="Close").click()
    await view.keyboard.press("?")
    await expect(view.get_by_role("dialog")).to_contain_text("Microphone on or off")
    await view.keyboard.press("Escape")
    await expect(view.get_by_role("dialog")).to_have_count(0)
    await fits(view)


async def test_a_recording_is_announced_and_can_be_refused(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.next_of(signaling.Consent)
    await session.next_of(signaling.Consent)
    banner = view.locator(".banner-recording")
    await expect(banner).to_be_hidden()
    state = signaling_values.RecordingState(active=True, recording="r1", started_at=1, text="recording-1")
    await session.send(signaling.RecordingChanged(state=state))
    await expect(banner).to_contain_text("being recorded")
    await banner.get_by_role("button", name="Attend unrecorded").click()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=False)
    await expect(banner).to_contain_text("but not you")
    await banner.get_by_role("button", name="Record me after all").click()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=True)
    await fits(view)
    await session.send(signaling.RecordingChanged(state=signaling_values.RecordingState(active=False)))
    await expect(banner).to_be_hidden()


@at_both_sizes
async def test_only_hosts_record_mute_and_remove(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/recording/start"] = (201, RECORDING)
    server.answers["POST", "/meetings/m1/participants/p2/mute"] = (200, {"ok": True})
    server.answers["POST", "/meetings/m1/participants/p2/remove"] = (200, {"ok": True})
    track = signaling_values.TrackInfo(track="t2", participant="p2", source="microphone", media="audio", codec="opus")
    session = await enter(view, server, tracks=[track])
    await expect(view.locator("[data-action=record]")).to_be_hidden()
    await view.keyboard.press("p")
    await expect(view.locator("[data-host]:visible")).to_have_count(0)
    await session.send(signaling.GrantsChanged(grants=Grants(host=True)))
    await view.locator("[data-host=mute]").click()
    await view.locator("[data-host=remove]").click()
    await view.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await view.locator(".panel-people").get_by_role("button", name="Close").click()
    await act(view, "record")
    await expect(view.locator("[data-action=record]")).to_be_enabled()
    done = {path.rpartition("/")[2]: body for method, path, body in server.requests if method == "POST"}
    assert done["mute"] == {"muted": ["microphone"]}
    assert done["remove"] == {"ban": False}
    assert "start" in done


async def test_a_host_s_mute_shows_on_the_own_button(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.send(signaling.GrantsChanged(grants=Grants(muted=(Source.MICROPHONE,))))
    await expect(view.locator("[data-action=microphone]")).to_have_attribute("title", "Muted by a host (m)")
    await view.keyboard.press("m")
    await expect(view.get_by_text("A host muted you.")).to_be_visible()


async def test_chat_is_text_whatever_it_holds(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    text = '<img src=x onerror="window.hacked=1"> https://example.org/a'
    await session.send(signaling.Chat(text=text, id="c1", participant="p2", name="Grace <b>", at=1))
    await expect(view.locator("[data-action=chat]")).to_have_attribute("data-count", "1")
    await view.keyboard.press("t")
    message = view.locator(".message")
    await expect(message).to_contain_text('<img src=x onerror="window.hacked=1">')
    await expect(message.get_by_role("link")).to_have_attribute("href", "https://example.org/a")
    assert await view.evaluate("[window.hacked, document.querySelectorAll('.message img, .message b').length]") == [
        None,
        0,
    ]
    await view.get_by_label("Message", exact=True).fill("Hello")
    await view.keyboard.press("Enter")
    assert await session.next_of(signaling.Chat) == signaling.Chat(text="Hello")
    await fits(view)


@at_both_sizes
async def test_captions_are_replaced_by_their_revisions(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await act(view, "captions")
    await expect(view.locator(".captions")).to_have_text("run parley models fetch")
    late = signaling_values.CaptionsState(available=True, reason="they may be late")
    await session.send(signaling.CaptionsChanged(state=late))
    await expect(view.locator(".captions")).to_have_text("they may be late")
    await session.send(signaling.CaptionsChanged(state=signaling_values.CaptionsState(available=True)))
    await expect(view.locator(".captions")).to_have_text("")

    def caption(rev: int, text: str, final: bool = False) -> signaling.Caption:
        return signaling.Caption(
            v=1, meeting="m1", participant="p2", track="t2", utterance="u1", rev=rev, final=final,
            start_ms=0, end_ms=1, lang="en", text=text, model="m",
        )  # fmt: skip

    await session.send(caption(2, "Hello wor"), caption(1, "Hel"), caption(3, "Hello world.", final=True))
    await expect(view.locator(".captions")).to_have_text("Grace Hopper Hello world.")


async def test_a_shared_screen_takes_the_stage(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    layout = view.locator(".tiles")
    await expect(layout).to_have_attribute("data-layout", "duo")
    screen = signaling_values.TrackInfo(track="s1", participant="p2", source="screen", media="video", codec="VP8")
    await session.send(signaling.TrackAdded(track=screen))
    await expect(layout).to_have_attribute("data-layout", "stage")
    await expect(view.locator(".stage")).to_contain_text("Grace Hopper’s screen")
    await fits(view)
    await session.send(signaling.TrackState(track="s1", paused=True, reason="codec_unsupported"))
    await expect(view.locator(".stage")).to_contain_text("cannot play this video")
    await session.send(signaling.TrackState(track="s1", paused=True, reason="bandwidth"))
    await expect(view.locator(".stage")).to_contain_text("Paused: the network is too slow")
    await session.send(signaling.TrackState(track="s1", paused=False))
    await expect(view.locator(".stage")).not_to_contain_text("Paused")
    await session.send(signaling.TrackRemoved(track="s1"))
    await expect(layout).to_have_attribute("data-layout", "duo")


@at_both_sizes
async def test_a_crowd_is_shown_in_part_and_the_rest_costs_nothing(view: Page, server: ScriptedServer) -> None:
    crowd = [
        signaling_values.ParticipantInfo(participant=f"p{number}", name=f"Person {number}") for number in range(1, 61)
    ]
    tracks = [
        signaling_values.TrackInfo(
            track=f"v{number}", participant=f"p{number}", source="camera", media="video", codec="VP8"
        )
        for number in range(2, 61)
    ]
    session = await enter(view, server, participants=crowd, tracks=tracks)
    await expect(view.locator(".tile-more")).to_have_text(re.compile(r"\+\d+"))
    shown = await view.locator(".grid .tile-person").count()
    assert shown < 30
    wishes = await session.next_of(signaling.Subscribe)
    assert sum(not wanted.on for wanted in wishes.tracks) == 60 - shown
    hidden = next(wanted.track for wanted in wishes.tracks if not wanted.on)
    speaker = hidden.replace("v", "p")
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant=speaker, level=10)]))
    await expect(view.locator(f"[data-id={speaker}].speaking")).to_be_visible()
    await fits(view)


async def test_the_state_of_the_connection_is_the_truth(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await expect(view.locator(".connection")).to_have_attribute("data-state", "connected")
    server.refuse_sockets = True
    await session.socket.close(1012)
    await expect(view.locator(".banner-connection")).to_contain_text(re.compile(r"Reconnecting in \d+ s"))
    await fits(view)
    server.refuse_sockets = False
    again = await server.session()
    await again.welcome(
        resumed=True, participants=[signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
    )
    await expect(view.locator(".banner-connection")).to_be_hidden()
    await again.send(
        signaling.UserUpdated(
            participant=signaling_values.ParticipantInfo(participant="p2", name="Grace", connected=False)
        )
    )
    await expect(view.locator("[data-id=p2]")).to_contain_text("Reconnecting…")


@pytest.mark.parametrize(
    ("code", "title", "again"),
    [
        ("removed", "You were removed", 0),
        ("ended", "The meeting has ended", 0),
        ("replaced", "You joined somewhere else", 1),
    ],
)
async def test_what_ended_the_call_is_said(
    view: Page, server: ScriptedServer, code: str, title: str, again: int
) -> None:
    session = await enter(view, server)
    await session.send(signaling.Error(code=code, detail="Out.", fatal=True))
    await session.socket.close(4001)
    await expect(view.get_by_role("heading", level=1)).to_have_text(title)
    await expect(view.locator("#rejoin")).to_have_count(again)
    await fits(view)


async def test_leaving_and_rejoining_is_the_same_participant(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await view.keyboard.press("Shift+L")
    await session.next_of(signaling.Leave)
    await expect(view.get_by_role("heading", level=1)).to_have_text("You left the meeting")
    await view.locator("#rejoin").click()
    await (await server.session()).welcome()
    assert server.joins()[-1]["rejoin_secret"] == "rejoin-1"


async def test_recordings_are_listed_and_downloaded(view: Page, server: ScriptedServer) -> None:
    sealing = {"recordings": [RECORDING | {"state": "sealing"}], "storage": STORAGE}
    server.answers["GET", "/meetings/m1/recordings"] = (200, sealing)
    await view.goto(f"{server.url}/m/m1/recordings")
    await expect(view.locator(".recording")).to_contain_text("Being finished")
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    await expect(view.locator(".recording")).to_contain_text("1:01 · 1.0 MB")
    await expect(view.get_by_role("link", name="Download")).to_have_attribute("href", "/api/v1/recording/download/r1")
    await fits(view)


async def test_a_lobby_is_waited_in_and_hosts_let_people_in(view: Page, server: ScriptedServer) -> None:
    waiting = {"meeting": SUMMARY, "lobby_ticket": "ticket-1", "retry_seconds": 0.05}
    server.answers["POST", "/meetings/m1/join"] = (202, waiting)
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    await expect(view.locator(".banner-waiting")).to_be_visible()
    await fits(view)
    del server.answers["POST", "/meetings/m1/join"]
    server.answers["GET", "/meetings/m1"] = (200, {"settings": {"lobby": True}})
    server.answers["GET", "/meetings/m1/lobby"] = (200, {"waiting": [{"id": "l1", "name": "Grace"}]})
    server.answers["POST", "/meetings/m1/lobby/l1/admit"] = (200, {"ok": True})
    session = await server.session()
    await session.welcome(grants=Grants(host=True))
    await expect(view.locator(".banner-waiting")).to_be_hidden()
    assert server.joins()[-1]["lobby_ticket"] == "ticket-1"
    await expect(view.locator("[data-action=people]")).to_have_attribute("data-count", "1")
    await view.keyboard.press("p")
    server.answers["GET", "/meetings/m1/lobby"] = (200, {"waiting": []})
    await view.get_by_role("button", name="Let Grace in").click()
    await expect(view.locator(".lobby")).to_be_hidden()
    assert ("POST", "/meetings/m1/lobby/l1/admit", None) in server.requests


async def test_a_link_of_a_mail_sets_a_password(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/auth/reset-password"] = (200, {"ok": True})
    await view.goto(f"{server.url}/reset-password?token=secret")
    assert "secret" not in view.url
    await view.get_by_label("New password").fill("correct horse")
    await view.get_by_role("button", name="Set password").click()
    await expect(view.get_by_role("heading", level=1)).to_have_text("Your password was changed")
    assert ("POST", "/auth/reset-password", {"token": "secret", "password": "correct horse"}) in server.requests


async def test_a_meeting_that_demands_consent_is_not_entered_without(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, {**SUMMARY, "consent": "required"})
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    await expect(view.locator("#join")).to_be_visible()
    assert server.joins() == []
    await view.get_by_label("I agree to be recorded").check()
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=True)


async def test_joining_gives_consent_where_the_meeting_says_so(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, {**SUMMARY, "consent": "implied"})
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await expect(view.get_by_text("Joining this meeting means that you agree to be recorded")).to_be_visible()
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=True)
