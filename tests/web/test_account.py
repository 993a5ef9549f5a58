"""The page of the account."""

import pytest
from playwright.async_api import Page, expect

from tests.web.page_stage import USER, view
from tests.web.screens import prepare
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_api_key_is_made_with_scopes_and_shown_once(view: Page, server: ScriptedServer) -> None:
    prepare(server)
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["POST", "/users/api-keys"] = (201, {"id": "a2", "name": "Robot", "secret": "key-of-robot"})
    server.answers["DELETE", "/users/api-keys/a1"] = (200, {"ok": True})
    await view.goto(f"{server.url}/account")
    await view.get_by_text("New API key").click()
    form = view.locator("form", has=view.get_by_role("button", name="Create key"))
    await expect(form.get_by_role("group")).to_have_count(5)  # no administration: the user is none
    await form.get_by_label("Name").fill("Robot")
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_have_text("Choose what the key may do.")
    await form.get_by_role("group", name="Recordings").get_by_label("Read").check()
    await form.get_by_label("Valid for").select_option("")
    await form.get_by_role("button").click()
    await expect(view.get_by_label("API key", exact=True)).to_have_value("key-of-robot")
    made = [body for method, path, body in server.requests if (method, path) == ("POST", "/users/api-keys")]
    assert made == [{"name": "Robot", "scopes": ["recordings:read"], "expires_at": None}]
    await view.get_by_role("button", name="Delete Calendar").click()
    async with view.expect_response("**/users/api-keys/a1"):
        await view.get_by_role("dialog").get_by_role("button", name="Delete").click()


async def test_a_notification_is_switched_on_and_stays_off_if_that_fails(view: Page, server: ScriptedServer) -> None:
    prepare(server)
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["PUT", "/users/notifications"] = (200, {})
    await view.goto(f"{server.url}/account#notifications")
    section = view.locator("#notifications")
    await expect(section).to_be_in_viewport()
    await expect(section).to_contain_text("Mails go to ada@example.org.")
    await expect(section.get_by_label("New devices")).to_be_checked()
    async with view.expect_response("**/users/notifications"):
        await section.get_by_label("Lobby").check()
    assert server.requests[-1][2] == {"lobby": True, "language": "en"}
    server.answers["PUT", "/users/notifications"] = (503, {"code": "x", "detail": "Not now."})
    await section.get_by_label("Reminders").click()
    await expect(view.get_by_text("Not now.")).to_be_visible()
    await expect(section.get_by_label("Reminders")).not_to_be_checked()
    await expect(section.get_by_label("Reminders")).to_be_focused()
