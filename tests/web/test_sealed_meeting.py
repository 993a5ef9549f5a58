"""A meeting with end-to-end encryption on the page: created by a check box, joined with words, without consents."""

import hashlib

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling
from tests.web.page_stage import MEETING, SUMMARY, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_words_are_asked_for_and_what_is_published_is_sealed(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY | {"e2ee": True})
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await expect(view.get_by_text("cannot be recorded, captioned or analysed")).to_be_visible()
    await expect(view.get_by_label("I agree to be recorded")).to_have_count(0)
    await view.get_by_label("Passphrase").fill("seven lanterns")
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    offer = await session.next_of(signaling.Offer)
    sound = next(line for line in offer.sdp.splitlines() if line.startswith("m=audio")).split()[3]
    assert f"a=rtpmap:{sound} opus/48000/2" in offer.sdp, "RED could not be undone"
    sealed = "parley.room.peers.publish.getSenders().every((sender) => sender.transform !== null)"
    assert await view.evaluate(sealed)
    assert "seven" not in str(server.requests)
    # The code to compare is the same for all who know the words.
    secret = hashlib.pbkdf2_hmac("sha256", b"seven lanterns", b"parley m1", 600_000)
    code = f"{int.from_bytes(hashlib.sha256(b'parley code' + secret).digest()[:4]) % 1_000_000:06}"
    await expect(view.locator(".seal-code")).to_have_text(f"{code[:3]} {code[3:]}")
    await expect(view.locator("[data-action=notes]")).to_be_hidden()


async def test_a_browser_that_cannot_is_not_let_in_unsealed(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY | {"e2ee": True})
    await view.add_init_script("delete window.RTCRtpScriptTransform")
    await view.goto(f"{server.url}/m/m1")
    await expect(view.get_by_text("which this browser does not support here")).to_be_visible()
    await expect(view.locator("#join")).to_be_disabled()


async def test_a_meeting_is_made_sealed(view: Page, server: ScriptedServer) -> None:
    profile = {"id": "u1", "username": "ada", "display_name": "Ada", "role": "user"}
    server.answers["GET", "/users/profile"] = (200, profile)
    server.answers["GET", "/meetings"] = (200, {"meetings": [], "next": None})
    server.answers["GET", "/my/meetings/upcoming"] = (200, {"meetings": []})
    server.answers["POST", "/meetings"] = (201, MEETING)
    await view.goto(f"{server.url}/")
    await view.get_by_role("button", name="Schedule").click()
    await view.get_by_text("More options").click()
    await view.get_by_label("End-to-end encryption").check()
    await view.get_by_role("dialog").get_by_role("button", name="Schedule").click()
    await expect(view.get_by_role("heading", name="Invite people")).to_be_visible()
    body = next(body for method, path, body in server.requests if (method, path) == ("POST", "/meetings"))
    assert body["settings"]["e2ee"] is True
