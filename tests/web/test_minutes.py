"""The minutes of a meeting beside its recordings: shown when ready, awaited, and failures reported."""

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import open_page
from tests.web.page_stage import SUMMARY
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
STORAGE = {"healthy": True, "problem": "", "free_bytes": None, "days_left": None, "used_bytes": 0, "quota_bytes": None}


async def test_minutes_are_waited_for_shown_and_missed(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [], "storage": STORAGE})
    minutes = {"state": "writing", "lines": 3, "text": None, "model": "llm-1", "error": None}
    server.answers["GET", "/meetings/m1/minutes"] = (200, minutes)
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/m/m1/recordings")
        shown = page.locator(".minutes")
        await expect(shown).to_contain_text("The minutes are being written.")
        ready = minutes | {"state": "ready", "text": "They agreed.\n<b>Ada</b> does it."}
        server.answers["GET", "/meetings/m1/minutes"] = (200, ready)
        await expect(shown).to_contain_text("<b>Ada</b> does it.", timeout=30_000)
        await expect(shown).to_contain_text("Written by llm-1 from the captions")
        failed = minutes | {"state": "failed", "error": "the endpoint answered 401"}
        server.answers["GET", "/meetings/m1/minutes"] = (200, failed)
        await page.reload()
        await expect(shown).to_contain_text("could not be written: the endpoint answered 401.")
        server.answers["GET", "/meetings/m1/minutes"] = (200, minutes | {"state": "none"})
        await page.reload()
        await expect(page.get_by_text("Nothing was recorded.")).to_be_visible()
        await expect(shown).to_be_empty()
