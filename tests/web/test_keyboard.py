"""A whole call by keyboard: everything is reached by Tab, Leave last, and closing something returns the focus."""

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling_values
from tests.web.page_stage import GRACE, SUMMARY, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
FOCUSED = """() => {
  const shown = document.activeElement;
  const box = shown.getBoundingClientRect();
  return [shown.tagName, shown.dataset.action ?? '', box.width > 0 && box.height > 0];
}"""
_MOST_STOPS = 60


async def stops(view: Page) -> list[str]:
    """Tab once around the call; return the actions of the bar in that order."""
    await view.evaluate("document.activeElement.blur()")
    actions: list[str] = []
    for stop in range(_MOST_STOPS):
        await view.keyboard.press("Tab")
        tag, action, shown = await view.evaluate(FOCUSED)
        if stop > 0 and (tag in {"BODY", "HTML"} or (actions and action == actions[0])):
            return actions
        assert shown, f"something invisible has the focus after {actions}"
        if action:
            actions.append(action)
    raise AssertionError(f"Tab never ends: {actions}")


async def test_a_call_is_held_by_keyboard_alone(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    await view.goto(f"{server.url}/m/m1")
    name = view.get_by_label("Your name")
    await expect(name).to_be_visible()
    await name.focus()
    await view.keyboard.type("Ada")
    await view.keyboard.press("Enter")
    session = await server.session()
    people = [signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
    await session.welcome(participants=people)
    await expect(view.locator("[data-id=p2]")).to_be_visible()
    order = await stops(view)
    assert order[-1] == "leave"
    assert {"microphone", "camera", "chat", "people", "captions", "devices", "help"} <= set(order)
    for action in order[:-1]:
        button = view.locator(f"[data-action={action}]")
        await button.focus()
        await view.keyboard.press("Enter")
        await view.wait_for_function("() => document.activeElement !== document.body")
        if action in {"layout", "devices", "help"}:
            await expect(view.locator("dialog[open]")).to_be_visible()
            await view.keyboard.press("Escape")
            await expect(view.locator("dialog[open]")).to_have_count(0)
            await expect(button).to_be_focused()
        elif action in {"chat", "people", "activities", "notes", "react"}:
            await view.keyboard.press("Escape")
            await expect(button).to_be_focused()
    await view.locator("[data-action=leave]").focus()
    await view.keyboard.press("Enter")
    await expect(view.get_by_role("heading", level=1)).to_contain_text("left")
