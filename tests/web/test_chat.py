"""The chat of a call: replies, files, several lines."""

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling
from tests.web.page_stage import USER, at_both_sizes, enter, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
FILE = {
    "id": "file_1",
    "name": "<b>plan</b>.pdf",
    "content_type": "application/pdf",
    "bytes": 2_000,
    "thumbnail": False,
}


@at_both_sizes
async def test_messages_are_answered_in_several_lines(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.send(signaling.Chat(text="Lunch?", id="c1", participant="p2", name="Grace", at=1))
    await view.keyboard.press("t")
    await view.locator(".message").hover()
    await view.get_by_role("button", name="Reply to Grace").click()
    await view.keyboard.type("Yes,")
    await view.keyboard.press("Shift+Enter")
    await view.keyboard.type("at one.")
    await view.keyboard.press("Enter")
    assert await session.next_of(signaling.Chat) == signaling.Chat(text="Yes,\nat one.", reply_to="c1")
    await expect(view.locator(".answering")).to_be_hidden()
    said = signaling.Chat(text="Yes,\nat one.", id="c2", participant="p1", name="Ada", at=2, reply_to="c1")
    await session.send(said)
    await expect(view.locator("[data-message=c2] .quote")).to_have_text("GraceLunch?")
    await fits(view)


async def test_emojis_are_put_on_messages_and_taken_off(view: Page, server: ScriptedServer) -> None:
    earlier = {"id": "c1", "participant": "p2", "name": "Grace", "text": "Lunch?", "to": None, "reply_to": None}
    earlier |= {"file": None, "at": "2026-11-25T10:00:00Z", "reactions": [{"emoji": "👍", "participants": ["p2"]}]}
    server.answers["GET", "/meetings/m1/messages"] = (200, {"messages": [earlier], "next": None})
    session = await enter(view, server)
    await view.keyboard.press("t")
    like = view.get_by_role("button", name="Like, ")
    await expect(like).to_have_accessible_name("Like, 1 person: Grace Hopper")
    await like.click()
    assert await session.next_of(signaling.Reaction) == signaling.Reaction(emoji="👍", message="c1")
    await session.send(signaling.Reaction(emoji="👍", message="c1", participant="p1"))
    await expect(like).to_have_accessible_name("Like, 2 people: Grace Hopper and You")
    await expect(view.locator(".cheer")).to_have_count(0)
    await like.click()
    assert await session.next_of(signaling.Reaction) == signaling.Reaction(emoji="👍", message="c1", on=False)
    await session.send(signaling.Chat(text="Psst", id="c2", participant="p2", name="Grace", at=2, to="p1"))
    await view.locator("[data-message=c2]").hover()
    await view.locator("[data-message=c2]").get_by_role("button", name="React to Grace").click()
    await view.keyboard.press("Tab")
    await view.keyboard.press("Enter")
    assert await session.next_of(signaling.Reaction) == signaling.Reaction(emoji="❤️", message="c2", to="p2")
    await expect(view.get_by_role("button", name="React to Grace").last).to_be_focused()
    del server.answers["GET", "/meetings/m1/messages"]


async def test_the_space_bar_speaks_while_it_is_held_and_keys_can_be_switched_off(
    view: Page, server: ScriptedServer
) -> None:
    await enter(view, server)
    microphone = view.locator("[data-action=microphone]")
    await microphone.click()
    await expect(microphone).to_have_attribute("aria-pressed", "false")
    await view.keyboard.down(" ")
    await expect(microphone).to_have_attribute("aria-pressed", "true")
    await view.keyboard.up(" ")
    await expect(microphone).to_have_attribute("aria-pressed", "false")
    await view.keyboard.press("t")
    await view.keyboard.type("a b")
    await expect(view.locator(".compose textarea")).to_have_value("a b")
    await view.keyboard.press("Escape")
    await view.keyboard.press("?")
    await view.get_by_role("checkbox", name="Keyboard shortcuts").uncheck()
    await view.get_by_label("Push to talk").uncheck()
    await view.keyboard.press("Escape")
    await view.keyboard.press("t")
    await view.locator("[data-action=chat]").focus()
    await view.keyboard.press("m")
    await expect(view.locator(".panel-chat")).to_be_hidden()
    await expect(microphone).to_have_attribute("aria-pressed", "false")


async def test_files_are_shared_by_accounts_and_had_by_all(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["POST", "/media/upload"] = (201, FILE)
    server.answers["GET", "/media/info/file_1"] = (200, FILE)
    session = await enter(view, server)
    await view.keyboard.press("t")
    await expect(view.get_by_role("button", name="Share a file")).to_be_visible()
    chosen = {"name": FILE["name"], "mimeType": "application/pdf", "buffer": b'"%PDF"'}
    await view.locator(".compose input[type=file]").set_input_files([chosen])  # type: ignore[list-item]
    assert await session.next_of(signaling.Chat) == signaling.Chat(text="<b>plan</b>.pdf", file="file_1")
    await session.send(
        signaling.Chat(text="<b>plan</b>.pdf", id="c1", participant="p1", name="Ada", at=1, file="file_1")
    )
    link = view.get_by_role("link", name="<b>plan</b>.pdf")
    await expect(link).to_have_attribute("href", "/api/v1/media/download/file_1")
    await expect(link).to_contain_text("2.0 kB")
    assert await view.evaluate("document.querySelectorAll('.message b').length") == 0
