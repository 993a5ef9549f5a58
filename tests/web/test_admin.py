"""The pages of administrators."""

from base64 import b64decode

import pytest
from playwright.async_api import Page, expect

from tests.web.page_stage import USER, fits, view
from tests.web.screens import ADMINISTRATION, server_settings
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
pytestmark = pytest.mark.asyncio(loop_scope="module")
DELIVERY = {
    "id": 7, "kind": "meeting.ended", "state": "failed", "attempts": 5, "next_at": "2026-11-25T10:00:00Z",
    "last_status": 500, "last_error": None, "created_at": "2026-11-25T10:00:00Z", "delivered_at": None, "event": {},
}  # fmt: skip


async def _oversee(view: Page, server: ScriptedServer) -> None:
    """Withdraw an invitation, and end a session of an account."""
    for path in ("/admin/invitations/i1", "/admin/users/u2/sessions/s1"):
        server.answers["DELETE", path] = (200, {})
    invitations = view.get_by_role("table", name="Open invitations")
    await expect(invitations).to_contain_text("katherine@example.org")
    await invitations.get_by_role("button", name="Withdraw the invitation").first.click()
    async with view.expect_response("**/admin/invitations/i1"):
        await view.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await view.get_by_role("button", name="Sessions of Grace").click()
    async with view.expect_response("**/sessions/s1"):
        await view.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    await view.get_by_role("dialog").get_by_role("button", name="Close").click()


async def test_administrators_ban_end_and_deliver_again(view: Page, server: ScriptedServer) -> None:
    server.answers.update({("GET", path): (200, answer) for path, answer in ADMINISTRATION.items()})
    server.answers["GET", "/users/profile"] = (200, USER | {"role": "admin"})
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["GET", "/webhooks/w1/deliveries"] = (200, {"deliveries": [DELIVERY]})
    for path in (
        "/admin/users/u2/ban",
        "/admin/meetings/m1/force-end",
        "/webhooks/w1/test",
        "/webhooks/w1/deliveries/7/replay",
    ):
        server.answers["POST", path] = (200, {"ok": True})
    await view.goto(f"{server.url}/admin")
    await expect(view.locator(".health")).to_contain_text("Media nodes do not respond: sfu-2")
    await view.get_by_role("link", name="People").click()
    people = view.get_by_role("table", name="People").locator("tbody tr")
    await expect(people).to_have_count(2)
    assert await view.locator("tbody b").count() == 0
    await _oversee(view, server)
    await view.get_by_role("button", name="Ban Grace").click()
    await view.get_by_role("dialog").get_by_role("button", name="Ban", exact=True).click()
    await view.get_by_role("searchbox").fill("gra")
    await expect(people).to_have_count(2)
    await fits(view)
    await view.get_by_role("link", name="Meetings", exact=True).last.click()
    await view.get_by_role("button", name="End Design review for everybody").first.click()
    await view.get_by_role("dialog").get_by_role("button", name="End for everybody").click()
    await view.get_by_role("link", name="Webhooks").click()
    async with view.expect_response("**/webhooks/w1/test"):
        await view.get_by_role("button", name="Send a test event to https://example.org/hook").click()
    await expect(view.get_by_role("button", name="Deliver meeting.ended again")).to_be_visible()
    await view.get_by_role("button", name="Deliveries to").click()
    async with view.expect_response("**/replay"):
        await view.get_by_role("button", name="Deliver meeting.ended again").click()
    done = {path for method, path, _ in server.requests if method == "POST"}
    assert done >= {"/admin/users/u2/ban", "/admin/meetings/m1/force-end", "/webhooks/w1/deliveries/7/replay"}


async def test_use_is_read_by_keyboard_and_as_a_table(view: Page, server: ScriptedServer) -> None:
    server.answers.update({("GET", path): (200, answer) for path, answer in ADMINISTRATION.items()})
    server.answers["GET", "/users/profile"] = (200, USER | {"role": "admin"})
    await view.goto(f"{server.url}/admin/usage")
    calls = view.get_by_role("slider", name="Calls", exact=True)
    await expect(calls).to_have_attribute("aria-valuetext", "331 in all")
    await calls.press("End")
    await calls.press("ArrowLeft")
    await expect(calls).to_have_attribute("aria-valuetext", "Nov 24: 12")
    storage = view.get_by_role("slider", name="Recordings and files")
    await storage.press("Home")
    await expect(storage).to_have_attribute("aria-valuetext", "Oct 27: Not measured")
    await view.get_by_text("As a table").click()
    newest = view.get_by_role("row").nth(1)
    await expect(newest.get_by_role("cell").nth(0)).to_have_text("19")
    await expect(newest.get_by_role("cell").nth(4)).to_have_text("1.2 GB")
    await fits(view)


async def test_a_livekit_key_is_made_shown_once_and_revoked(view: Page, server: ScriptedServer) -> None:
    server.answers.update({("GET", path): (200, answer) for path, answer in ADMINISTRATION.items()})
    server.answers["GET", "/users/profile"] = (200, USER | {"role": "admin"})
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    made = {"id": "APInew", "name": "Bots", "secret": "secret-of-bots"}
    server.answers["POST", "/admin/livekit-keys"] = (201, made)
    server.answers["DELETE", "/admin/livekit-keys/APIk3fX9sLq2VbT7wYz"] = (200, {"ok": True})
    await view.goto(f"{server.url}/admin/keys")
    await expect(view.get_by_text("From the settings")).to_be_visible()
    await view.get_by_text("New LiveKit key").click()
    await view.get_by_label("Name", exact=True).fill("Bots")
    await view.get_by_role("button", name="Create key").click()
    await expect(view.get_by_label("Secret")).to_have_value("secret-of-bots")
    await view.get_by_role("button", name="Delete Telehealth app").click()
    async with view.expect_response("**/livekit-keys/APIk3fX9sLq2VbT7wYz"):
        await view.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await fits(view)


async def test_settings_are_found_changed_refused_and_restored(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER | {"role": "admin"})
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["GET", "/admin/settings"] = (200, server_settings())
    await view.goto(f"{server.url}/admin/settings")
    await expect(view.get_by_label("Log level", exact=True)).to_be_disabled()
    await view.get_by_role("searchbox").fill("registration")
    await expect(view.locator(".server-setting:visible")).to_have_count(2)
    server.answers["PATCH", "/admin/settings"] = (200, server_settings(registration="closed"))
    await view.get_by_label("Registration", exact=True).select_option("closed")
    await expect(view.locator("#setting-registration-state")).to_contain_text("changed by Ada")
    server.answers["PATCH", "/admin/settings"] = (200, server_settings())
    await view.get_by_role("button", name="Restore the default of Registration").click()
    await expect(view.get_by_label("Registration", exact=True)).to_have_value("auto")
    await view.get_by_role("searchbox").fill("quota_bytes")
    refusal = {"code": "invalid_setting", "detail": "recordings_quota_bytes: too odd"}
    server.answers["PATCH", "/admin/settings"] = (422, refusal)
    await view.get_by_label("Recordings of an account", exact=True).fill("7.5")
    await view.get_by_role("button", name="Save").click()
    await expect(view.get_by_role("alert").filter(has_text="too odd")).to_be_visible()
    await view.get_by_role("searchbox").fill("brand_logo")
    server.answers["PATCH", "/admin/settings"] = (200, server_settings(brand_logo=f"data:image/png;base64,{PIXEL}"))
    file = {"name": "logo.png", "mimeType": "image/png", "buffer": b64decode(PIXEL)}
    await view.get_by_label("Choose a picture").set_input_files([file])  # type: ignore[list-item]
    await expect(view.locator("#setting-brand_logo-state")).to_contain_text("changed by Ada")
    await expect(view.locator(".picture-choice img")).to_have_attribute("src", f"data:image/png;base64,{PIXEL}")
    *sent, logo = [body["settings"] for method, _, body in server.requests if method == "PATCH"]
    assert logo["brand_logo"].startswith("data:image/png;base64,")
    assert sent == [{"registration": "closed"}, {"registration": None}, {"recordings_quota_bytes": 7_500_000_000}]


async def test_others_are_told_that_it_is_not_for_them(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    await view.goto(f"{server.url}/admin")
    await expect(view.locator(".notice")).to_contain_text("for administrators")
    assert not [path for _, path, _ in server.requests if path.startswith("/admin")]
