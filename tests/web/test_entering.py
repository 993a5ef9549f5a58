"""The page before a call: signing in, a meeting's requirements, the lobby."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

import web
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants
from tests.web.page_stage import GRACE, MEETING, SUMMARY, USER, enter, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    server.answers["GET", "/my/meetings/upcoming"] = (200, {"meetings": []})
    await view.get_by_role("button", name="Sign in").click()
    await expect(view.get_by_role("heading", name="Design review")).to_be_visible()
    await fits(view)


@pytest.mark.parametrize("part", ["app/tiles.js", "app/main.js"])
async def test_a_page_of_which_a_module_did_not_come_is_loaded_again(
    view: Page, server: ScriptedServer, part: str
) -> None:
    server.root = web.ROOT  # in which each module is a file
    loads = 0

    async def fail(route: Route) -> None:
        nonlocal loads
        loads += 1
        await (route.abort("internetdisconnected") if loads <= 2 else route.continue_())

    await view.route(f"{server.url}/{part}", fail)
    await view.goto(f"{server.url}/m/m1")
    # A call's own modules come after the first screen.
    async with asyncio.timeout(30):
        while loads < 3:
            await asyncio.sleep(0.05)
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    await (await server.session()).welcome(participants=[GRACE])
    await expect(view.locator("[data-id=p2]")).to_be_visible()


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
    server.answers["GET", "/my/meetings/upcoming"] = (200, {"meetings": []})
    server.answers["POST", "/meetings"] = (201, MEETING)
    await view.get_by_role("button", name="Create account").click()
    await view.get_by_role("button", name="Meet now").click()
    await expect(view.locator("#join")).to_be_visible()
    created = [body for method, path, body in server.requests if (method, path) == ("POST", "/meetings")]
    assert created == [{"title": "Ada’s meeting"}]


async def test_an_invitation_s_link_fills_it_in(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/server"] = (200, {"registration": "invite", "setup_needed": False})
    await view.goto(f"{server.url}/?invitation=code")
    await expect(view.get_by_label("Invitation")).to_have_value("code")


async def test_the_setup_link_does_not_stay_in_the_address(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/setup"] = (201, {"user": USER, "csrf_token": "c"})
    server.answers["GET", "/meetings"] = (200, {"meetings": [], "next": None})
    server.answers["GET", "/my/meetings/upcoming"] = (200, {"meetings": []})
    await view.goto(f"{server.url}/setup?token=secret")
    await view.get_by_label("User name").fill("ada")
    await fits(view)
    assert "secret" not in view.url
    await view.get_by_label("E-mail").fill("ada@example.org")
    await view.get_by_label("Password").fill("correct horse")
    server.answers["GET", "/users/profile"] = (200, USER)
    await view.get_by_role("button", name="Create administrator").click()
    await expect(view.get_by_role("button", name="Meet now")).to_be_visible()
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


async def test_captions_are_asked_for_only_once_there_are_any(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/ai/analysis"] = (200, {"emotion": False, "synthesis": False, "captions": False})
    session = await enter(view, server)
    assert [(await session.next_of(signaling.Consent)).captions for _ in range(2)] == [None, False]
    await expect(view.get_by_text("Captions are available now.")).to_be_hidden()
    await session.send(signaling.CaptionsChanged(state=signaling_values.CaptionsState(available=True)))
    await view.locator(".toast").get_by_role("button", name="I agree").click()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="captions-1", captions=True)


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
    waiting = [{"id": "l1", "name": "Grace"}, {"id": "l2", "name": "Bob"}]
    server.answers["GET", "/meetings/m1/lobby"] = (200, {"waiting": waiting})
    notice = view.locator(".toast")
    await expect(notice).to_have_text("Bob and 1 other are waiting to be let in.Show")
    await notice.get_by_role("button").click()
    await expect(view.get_by_role("button", name="Let in Bob")).to_be_visible()
    await expect(notice).to_have_count(0)
    server.answers["GET", "/meetings/m1/lobby"] = (200, {"waiting": []})
    await view.get_by_role("button", name="Let in Grace").click()
    await expect(view.locator(".lobby")).to_be_hidden()
    assert ("POST", "/meetings/m1/lobby/l1/admit", None) in server.requests


async def test_a_link_of_a_mail_sets_a_password(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/auth/reset-password"] = (200, {"ok": True})
    await view.goto(f"{server.url}/reset-password?token=secret")
    await view.get_by_label("New password").fill("correct horse")
    assert "secret" not in view.url
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


async def test_who_is_muted_on_entry_starts_muted_and_can_unmute(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/join"] = (200, server.join_answer(start_muted=True))
    session = await enter(view, server)
    microphone = view.locator("[data-action=microphone]")
    await expect(microphone).to_have_attribute("aria-label", "Unmute")
    offer = await session.next_of(signaling.Offer)
    (muted,) = [track.muted for track in offer.tracks if track.source == "microphone"]
    assert muted
    assert not await view.evaluate("parley.room.local('microphone').mediaTrack.enabled")
    await microphone.click()
    await expect(microphone).to_have_attribute("aria-label", "Mute")
    assert await view.evaluate("parley.room.local('microphone').mediaTrack.enabled")
    # Coming back after a lost connection mutes nobody again.
    await session.socket.close(1012)
    await (await server.session()).welcome()
    await expect(view.locator("[data-id=p2]")).to_have_count(0)
    await expect(microphone).to_have_attribute("aria-label", "Mute")
