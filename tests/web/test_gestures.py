"""Gestures and other actions in a call: raised hands, reactions, a large picture, earlier chat."""

import msgspec
import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants
from tests.web.page_stage import GRACE, act, at_both_sizes, choose, enter, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
ADA = signaling_values.ParticipantInfo(participant="p1", name="Ada")
HUMMING = """
navigator.mediaDevices.getUserMedia = ((native) => async (wanted) => {
  if (!wanted.audio) return native.call(navigator.mediaDevices, wanted);
  const context = new AudioContext();
  const voice = new OscillatorNode(context, {frequency: 200});
  const microphone = context.createMediaStreamDestination();
  voice.connect(microphone);
  voice.start();
  return microphone.stream;
})(navigator.mediaDevices.getUserMedia);
"""
"""A microphone that somebody hums into without a break: the browser's own only beeps."""
LINUS = signaling_values.ParticipantInfo(participant="p3", name="Linus")


@at_both_sizes
async def test_hands_queue_in_the_order_in_which_they_were_raised(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server, participants=[ADA, GRACE, LINUS])
    await act(view, "hand")
    assert await session.next_of(signaling.Hand) == signaling.Hand(raised=True)
    for person, since in ((LINUS, 2), (GRACE, 1), (ADA, 3)):
        told = msgspec.structs.replace(person, hand=since)
        await session.send(signaling.ParticipantUpdated(participant=told))
    await expect(view.locator("[data-action=hand]")).to_have_attribute("aria-label", "Lower hand")
    await expect(view.get_by_text("Linus raised their hand.")).to_be_visible()
    await expect(view.locator("[data-id=p3] .tile-hand")).to_be_visible()
    await view.keyboard.press("p")
    await expect(view.locator("[data-hand] span")).to_have_text(["Grace Hopper", "Linus", "Ada"])
    await expect(view.locator("[data-hand] button")).to_have_count(0)
    await session.send(signaling.GrantsChanged(grants=Grants(host=True)))
    await view.get_by_role("button", name="Lower hand: Linus").click()
    assert await session.next_of(signaling.Hand) == signaling.Hand(raised=False, participant="p3")
    await session.send(signaling.ParticipantUpdated(participant=LINUS))
    await expect(view.locator("[data-hand] span")).to_have_text(["Grace Hopper", "Ada"])
    await view.keyboard.press("Escape")
    await expect(view.locator(".panel-people")).to_be_hidden()
    await fits(view)


@at_both_sizes
async def test_a_reaction_shows_whose_it_is(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await act(view, "react")
    await view.get_by_role("button", name="Applause").click()
    assert await session.next_of(signaling.Reaction) == signaling.Reaction(emoji="👏")
    await expect(view.locator(".reactions")).to_be_hidden()
    await session.send(signaling.Reaction(emoji="🎉", participant="p2"))
    await expect(view.locator(".cheer")).to_have_text("🎉 Grace Hopper")


async def test_whoever_is_pinned_or_speaks_is_large(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server, participants=[ADA, GRACE, LINUS])
    large = view.locator(".stage .tile")
    await view.locator("[data-id=p3]").hover()
    await view.get_by_role("button", name="Pin Linus", exact=True).click()
    await expect(large).to_have_attribute("data-id", "p3")
    await view.get_by_role("button", name="Unpin Linus").click()
    await expect(view.locator(".tiles")).to_have_attribute("data-layout", "grid")
    await view.keyboard.press("g")
    await choose(view, "mode", "speaker")
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant="p3", level=10)]))
    await expect(large).to_have_attribute("data-id", "p3")
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant="p1", level=10)]))
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant="p2", level=10)]))
    await expect(large).to_have_attribute("data-id", "p2")
    await view.keyboard.press("g")
    await choose(view, "mode", "grid")
    await expect(view.locator(".tiles")).to_have_attribute("data-layout", "grid")


async def test_late_comers_read_what_was_said_and_hear_who_comes(view: Page, server: ScriptedServer) -> None:
    said = {
        "id": "c1",
        "participant": "p2",
        "name": "Grace",
        "text": "Before",
        "to": None,
        "at": "2026-11-25T10:00:00Z",
    }
    refusal = {"status": 403, "code": "not_in_room", "detail": "Connect to the meeting first."}
    server.answers["GET", "/meetings/m1/messages"] = (403, refusal)
    async with view.expect_response("**/messages"):
        session = await enter(view, server)
    server.answers["GET", "/meetings/m1/messages"] = (200, {"messages": [said], "next": None})
    await session.send(signaling.Chat(text="Before", id="c1", participant="p2", name="Grace", at=1))
    await session.send(signaling.Chat(text="After", id="c2", participant="p2", name="Grace", at=1_900_000_000_000))
    await expect(view.locator(".message-text")).to_have_text(["Before", "After"])
    await session.send(signaling.ParticipantJoined(participant=LINUS))
    await expect(view.get_by_text("Linus joined.")).to_be_visible()
    await session.send(signaling.ParticipantLeft(participant="p2", reason="left"))
    await expect(view.get_by_text("Grace Hopper left.")).to_be_visible()


async def test_whoever_speaks_while_muted_is_told(view: Page, server: ScriptedServer) -> None:
    await view.add_init_script(HUMMING)
    await enter(view, server)
    await expect(view.locator("[data-action=microphone]")).to_have_attribute("aria-label", "Mute")
    await view.keyboard.press("m")
    await expect(view.get_by_text("You are muted. Press M to unmute.")).to_be_visible(timeout=20_000)


async def test_alone_one_is_offered_to_invite(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await expect(view.locator(".alone")).to_be_hidden()
    await session.send(signaling.ParticipantLeft(participant="p2", reason="left"))
    await view.locator(".alone").get_by_role("button", name="Invite").click()
    await expect(view.get_by_label("Link", exact=True)).to_have_value(f"{server.url}/m/m1")
    await expect(view.get_by_role("img", name="QR code for the link")).to_be_visible()
