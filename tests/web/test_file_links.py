"""Links to one file of a recording on the page: created, copied, listed and revoked."""

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import open_page
from tests.web.page_stage import RECORDING, STORAGE, SUMMARY
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILE = "t1/1-0.webm"
TRACK = {"track": "t1", "participant": "p1", "name": "Ada", "source": "camera", "codec": "VP8", "start_ms": 0}
LINK = {"id": "link_1", "name": FILE, "created_at": "2030-01-01T09:00:00Z", "expires_at": "2030-01-02T09:00:00Z"}
URL = "/api/v1/signed/recordings/r1/t1/1-0.webm?link=link_1&expires=1&signature=x"


async def test_a_link_is_made_copied_and_taken_back(chromium: Browser, server: ScriptedServer) -> None:
    path = "/recordings/r1/file-links"
    link = LINK | {"url": URL}
    other = link | {"id": "link_2", "name": "t1/1-1.webm"}
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    detail = {"recording": RECORDING, "tracks": [TRACK | {"duration_ms": 1000, "files": [FILE]}], "composition": None}
    server.answers["GET", "/recordings/r1"] = (200, detail)
    server.answers["GET", path] = (200, {"links": [other]})
    server.answers["POST", path] = (201, link)
    server.answers["DELETE", f"{path}/link_1"] = (200, {})
    async with open_page(chromium) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{server.url}/m/m1/recordings")
        await page.get_by_text("Tracks").click()
        await page.get_by_role("button", name=f"Share {FILE}").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("No links yet.")
        server.answers["GET", path] = (200, {"links": [link, other]})
        await dialog.get_by_label("Valid for").select_option("A day")
        await dialog.get_by_role("button", name="Create link").click()
        await expect(dialog.locator("[data-link]")).to_have_count(1)
        assert ("POST", path, {"name": FILE, "seconds": 86400}) in server.requests
        await expect(page.get_by_text("Link copied.")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == server.url + URL
        await page.evaluate("navigator.clipboard.writeText('')")
        await dialog.get_by_role("button", name="Copy").click()
        await page.wait_for_function("async () => (await navigator.clipboard.readText()) !== ''")
        server.answers["GET", path] = (200, {"links": [other]})
        await dialog.get_by_role("button", name="Revoke").click()
        await expect(dialog).to_contain_text("No links yet.")
        assert ("DELETE", f"{path}/link_1", None) in server.requests
