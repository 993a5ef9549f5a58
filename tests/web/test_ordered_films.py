"""Further films of a recording on the page: ordered with a layout and a format, downloaded, deleted."""

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import open_page
from tests.web.page_stage import RECORDING, STORAGE, SUMMARY
from tests.web.scripted import ScriptedServer
from tests.web.test_film import detail

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_film_is_ordered_and_deleted(chromium: Browser, server: ScriptedServer) -> None:
    film = {
        "id": "job_1", "state": "queued", "progress": 0.0, "file": None, "bytes": None, "error": None,
        "options": {"layout": "speaker", "format": "webm"},
    }  # fmt: skip
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    server.answers["GET", "/recordings/r1"] = (200, detail(state="done", file="composed-1.mp4", bytes=4))
    server.answers["GET", "/recordings/r1/films"] = (200, {"films": []})
    server.answers["POST", "/recordings/r1/films"] = (202, film)
    server.answers["DELETE", "/recordings/r1/films/job_1"] = (200, {})
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/m/m1/recordings")
        await page.get_by_text("Tracks").click()
        await page.get_by_text("Other versions").click()
        await page.get_by_label("Layout").select_option("Speaker view")
        await page.get_by_label("Format").select_option("WEBM")
        server.answers["GET", "/recordings/r1/films"] = (200, {"films": [film]})
        await page.get_by_role("button", name="Create", exact=True).click()
        await expect(page.get_by_text("Waiting to be created")).to_be_visible()
        wanted = {"layout": "speaker", "size": "720p", "format": "webm", "captions": "none"}
        assert ("POST", "/recordings/r1/films", wanted) in server.requests
        done = film | {"state": "done", "file": "film-job_1-1.webm", "bytes": 4}
        server.answers["GET", "/recordings/r1/films"] = (200, {"films": [done]})
        await expect(page.get_by_label("Download Speaker view · 720p · WEBM")).to_be_visible(timeout=30_000)
        server.answers["GET", "/recordings/r1/films"] = (200, {"films": []})
        await page.get_by_role("button", name="Delete Speaker view").click()
        await expect(page.get_by_role("button", name="Delete Speaker view")).to_have_count(0)
