"""Search in the captions beside the recordings of a meeting."""

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import open_page
from tests.web.page_stage import SUMMARY
from tests.web.scripted import ScriptedServer
from tests.web.test_minutes import STORAGE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_lines_are_shown_with_who_said_them_and_when(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [], "storage": STORAGE})
    line = {
        "utterance": "u",
        "participant": "p",
        "name": "<i>Ada</i>",
        "start_ms": 65_000,
        "end_ms": 66_000,
        "lang": "en",
    }
    server.answers["GET", "/meetings/m1/captions"] = (200, {"captions": [{**line, "text": "the budget is approved"}]})
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/m/m1/recordings")
        await page.get_by_label("Search what was said").fill("budget")
        await expect(page.locator(".spoken li")).to_have_text("1:05 <i>Ada</i>: the budget is approved")
        server.answers["GET", "/meetings/m1/captions"] = (200, {"captions": []})
        await page.get_by_label("Search what was said").fill("unheard")
        await expect(page.locator(".spoken li")).to_have_text("No matches.")
        await page.get_by_label("Search what was said").fill("")
        await expect(page.locator(".spoken li")).to_have_count(0)
