"""Stream keys on the page: a host creates one, copies it while it is shown, and deletes it."""

import pytest
from playwright.async_api import Page, expect

from sfu.api.join_token import Grants
from tests.web.page_stage import act, at_both_sizes, enter, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/meetings/m1/stream-keys"
KEY = {
    "id": "key_1",
    "name": "Camera van",
    "role": "publish",
    "url": "/whip",
    "created_at": "2030-01-01T09:00:00Z",
    "expires_at": None,
    "last_used_at": None,
    "rtmp_urls": [],
    "srt_urls": [],
    "source_url": "",
    "state": None,
    "secret": None,
}
LIVE = {
    "phase": "live",
    "since": "2030-01-01T09:00:00Z",
    "protocol": "rtmp",
    "bits_per_second": 2_500_000,
    "width": 1280,
    "height": 720,
    "frames_per_second": 30.0,
    "dropped": 0,
    "attempts": 0,
    "error": "",
}


@at_both_sizes
async def test_a_host_makes_copies_and_deletes_a_key(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", PATH] = (200, {"keys": []})
    server.answers["POST", PATH] = (
        201,
        KEY | {"secret": "stream_secret", "rtmp_urls": ["rtmp://host:1935/live"], "srt_urls": ["srt://host:8890"]},
    )
    server.answers["DELETE", f"{PATH}/key_1"] = (200, {"ok": True})
    await view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await enter(view, server, grants=Grants(host=True))
    await act(view, "people")
    await view.get_by_role("button", name="Host controls").click()
    await view.get_by_role("button", name="Stream keys").click()
    dialog = view.get_by_role("dialog")
    await expect(dialog).to_contain_text("No stream keys yet.")
    server.answers["GET", PATH] = (200, {"keys": [KEY]})
    await dialog.get_by_label("Display name").fill(" Camera van ")
    await dialog.get_by_role("button", name="Create key").click()
    await expect(dialog.locator("[data-key]")).to_contain_text("Camera van: sends, never used")
    assert ("POST", PATH, {"name": "Camera van", "role": "publish"}) in server.requests
    await expect(dialog.get_by_label("Address", exact=True)).to_have_value(f"{server.url}/whip")
    await expect(dialog.get_by_label("Bearer token")).to_have_value("stream_secret")
    await expect(dialog.get_by_label("RTMP address")).to_have_value("rtmp://host:1935/live")
    srt = "srt://host:8890?streamid=stream_secret"
    await expect(dialog.get_by_label("SRT address")).to_have_value(srt)
    await fits(view)
    server.answers["GET", PATH] = (200, {"keys": [KEY | {"state": LIVE}]})
    await expect(dialog.locator("[data-key]")).to_contain_text("1280 × 720, 30 fps, 2.5 Mbit/s.")
    retrying = LIVE | {"phase": "retrying", "error": "The media server does not answer."}
    server.answers["GET", PATH] = (200, {"keys": [KEY | {"state": retrying}]})
    await expect(dialog.locator("[data-key]")).to_contain_text("retrying. The media server does not answer.")
    await dialog.get_by_role("button", name="Copy").nth(3).click()
    await expect(view.get_by_text("Bearer token (WHIP) or stream key (RTMP) copied.")).to_be_visible()
    assert await view.evaluate("navigator.clipboard.readText()") == "stream_secret"
    read = KEY | {"source_url": "https://example.org/a.m3u8", "secret": ""}
    server.answers["POST", PATH] = (201, read)
    await dialog.get_by_label("Program").select_option("url")
    await dialog.get_by_label("Display name").fill("Clip")
    await dialog.get_by_label("URL").fill("https://example.org/a.m3u8?t=1")
    await dialog.get_by_role("button", name="Create key").click()
    wish = {"name": "Clip", "role": "publish", "source_url": "https://example.org/a.m3u8?t=1"}
    await expect(dialog.get_by_label("Bearer token")).to_be_hidden()
    assert ("POST", PATH, wish) in server.requests
    server.answers["GET", PATH] = (200, {"keys": []})
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_contain_text("No stream keys yet.")
    assert ("DELETE", f"{PATH}/key_1", None) in server.requests


async def test_nobody_but_hosts_is_offered_keys(view: Page, server: ScriptedServer) -> None:
    await enter(view, server)
    await act(view, "people")
    await expect(view.get_by_role("button", name="Invite")).to_be_visible()
    await expect(view.get_by_role("button", name="Host controls")).to_be_hidden()
