"""Analysis on the page: absent if the server offers none; otherwise requested, shown and withdrawn."""

import pytest
from playwright.async_api import Browser, Page, expect

from sfu.api import signaling
from tests.web.conftest import open_page
from tests.web.page_stage import SUMMARY, enter
from tests.web.scripted import ScriptedServer, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def met(page: Page, server: ScriptedServer, offer: dict[str, bool]) -> Session:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/ai/analysis"] = (200, offer)
    return await enter(page, server)


async def test_without_an_offer_nothing_is_loaded_or_asked(chromium: Browser, server: ScriptedServer) -> None:
    async with open_page(chromium) as page:
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        await met(page, server, {"emotion": False, "synthesis": False})
        await page.wait_for_timeout(500)
        assert any(url.endswith("/ai/analysis") for url in loaded)
        assert not any("analysis-banner" in url for url in loaded)
        await expect(page.locator(".banner-analysis")).to_have_count(0)


async def test_consent_is_asked_for_shown_and_taken_back(chromium: Browser, server: ScriptedServer) -> None:
    tracks = [
        {
            "meeting": "m1", "track": "t2", "participant": "p2", "media": "video",
            "emotion": {"expression": "uncertain"}, "synthesis": {"text": "no verdict (no model)"},
        },
        {
            "meeting": "m1", "track": "t3", "participant": "p2", "media": "audio",
            "emotion": None, "synthesis": {"text": "likely synthetic (demonstration model, not evidence)"},
        },
    ]  # fmt: skip
    server.answers["GET", "/meetings/m1/analysis"] = (200, {"tracks": tracks})
    async with open_page(chromium) as page:
        session = await met(page, server, {"emotion": True, "synthesis": True})
        banner = page.locator(".banner-analysis")
        await expect(banner).to_contain_text("The analysis does not show what you feel.")
        await banner.get_by_role("button", name="I agree").click()
        while (consent := await session.next_of(signaling.Consent)).text != "analysis-2":
            pass
        assert consent.analysis is True
        await expect(banner).to_contain_text(
            "Grace Hopper: face looks uncertain; generated face: no verdict (no model).", timeout=30_000
        )
        await expect(banner).to_contain_text("generated voice: likely synthetic (demonstration model, not evidence).")
        await banner.get_by_role("button", name="Stop analysing me").click()
        while (consent := await session.next_of(signaling.Consent)).text != "analysis-2":
            pass
        assert consent.analysis is False
        await expect(banner).to_contain_text("You are not being analysed.")
