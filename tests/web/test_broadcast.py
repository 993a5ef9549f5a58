"""Going live on the page: a host adds a destination, starts, and sees the state; everybody is notified and asked."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants
from tests.web.page_stage import act, at_both_sizes, enter, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/meetings/m1/broadcast"
OFF: dict[str, Any] = {
    "started_at": None, "layout": None, "size": None, "people": 0, "left_out": 0, "problem": "", "outputs": [],
}  # fmt: skip
OUTPUT = {
    "id": "o1", "kind": "rtmp", "name": "Channel", "url": "rtmps://live.example.org/app", "watch_url": None,
    "created_at": "2030-01-01T09:00:00Z", "phase": "live", "since": "2030-01-01T09:00:00Z",
    "bits_per_second": 2_400_000, "dropped": 3, "delay_ms": 700, "attempts": 0, "error": "",
}  # fmt: skip
LIVE = OFF | {"started_at": "2030-01-01T09:00:00Z", "layout": "grid", "size": "720p", "outputs": [OUTPUT]}


@at_both_sizes
async def test_a_host_adds_a_place_and_goes_live(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", PATH] = (200, OFF)
    server.answers["POST", f"{PATH}/outputs"] = (201, OFF | {"outputs": [OUTPUT | {"phase": None, "since": None}]})
    server.answers["POST", f"{PATH}/start"] = (201, LIVE)
    server.answers["POST", f"{PATH}/stop"] = (200, OFF)
    await enter(view, server, grants=Grants(host=True))
    await act(view, "people")
    await view.get_by_role("button", name="Host controls").click()
    await view.get_by_role("button", name="Go live").click()
    dialog = view.get_by_role("dialog")
    start = dialog.get_by_role("button", name="Go live")
    await expect(start).to_be_disabled()
    await dialog.get_by_text("Add a destination").click()
    await dialog.get_by_label("Name").fill("Channel")
    await dialog.get_by_label("Address").fill("rtmps://live.example.org/app")
    await dialog.get_by_label("Stream key").fill("secret")
    server.answers["GET", PATH] = (200, LIVE)
    await dialog.get_by_role("button", name="Add", exact=True).click()
    added = {"kind": "rtmp", "name": "Channel", "url": "rtmps://live.example.org/app", "key": "secret"}
    assert ("POST", f"{PATH}/outputs", added) in server.requests
    await expect(dialog.get_by_label("Stream key")).to_have_value("")
    await expect(dialog.locator("[data-output]")).to_contain_text("2.4 Mbit/s, 0.7 s behind, 3 frames missing")
    await expect(dialog.locator(".status-live")).to_be_visible()
    await fits(view)
    await dialog.get_by_role("button", name="Stop streaming").click()
    assert ("POST", f"{PATH}/stop", {}) in server.requests


async def test_everybody_is_told_and_asked(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    live = signaling_values.RecordingState(active=False, broadcast_since=1)
    await session.send(signaling.RecordingChanged(state=live))
    banner = view.locator(".banner-recording")
    await expect(banner).to_contain_text("This meeting is live. Viewers do not see or hear you unless you agree.")
    await view.get_by_role("button", name="I agree").click()
    await expect(banner).to_contain_text("This meeting is live, including you.")
    await expect(banner.get_by_role("button", name="Stop showing me")).to_be_visible()
    await session.send(signaling.RecordingChanged(state=signaling_values.RecordingState(active=False)))
    await expect(banner).to_be_hidden()
