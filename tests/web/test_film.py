"""The film of a recording on the page: requested again after a failure, and watched while it is made again."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import open_page
from tests.web.page_stage import RECORDING, STORAGE, SUMMARY
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


def detail(**composition: Any) -> dict[str, Any]:
    film = {"progress": 0.0, "file": None, "bytes": None, "error": None} | composition
    return {"recording": RECORDING, "tracks": [], "composition": film}


async def test_a_film_that_failed_is_made_again(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    server.answers["GET", "/recordings/r1"] = (200, detail(state="failed", error="every attempt was interrupted"))
    server.answers["POST", "/recordings/r1/composition"] = (202, detail(state="queued"))
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/m/m1/recordings")
        await page.get_by_text("Tracks").click()
        await expect(page.get_by_text("could not be created: every attempt was interrupted")).to_be_visible()
        server.answers["GET", "/recordings/r1"] = (200, detail(state="running", progress=0.25))
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("Waiting to be created")).to_be_visible()
        assert ("POST", "/recordings/r1/composition", None) in server.requests
        await expect(page.get_by_text("Creating the video: 25%")).to_be_visible(timeout=30_000)
        server.answers["GET", "/recordings/r1"] = (200, detail(state="done", file="composed-1.mp4", bytes=4))
        await expect(page.locator(".film video")).to_have_count(1, timeout=30_000)
        await expect(page.get_by_label("Download the combined video")).to_be_visible()
