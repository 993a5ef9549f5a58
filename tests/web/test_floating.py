"""Separate windows and large pictures: the call in a small window, and uses of a shared screen."""

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling, signaling_values
from tests.web.page_stage import act, enter, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
SCREEN = signaling_values.TrackInfo(track="s1", participant="p2", source="screen", media="video", codec="VP8")
IPHONE = """
delete Element.prototype.requestFullscreen;
Object.defineProperty(document, 'fullscreenEnabled', {value: false});
HTMLVideoElement.prototype.webkitEnterFullscreen = function () { globalThis.full = this; };
"""
HIDE = """
Object.defineProperty(document, 'hidden', {get: () => true});
document.dispatchEvent(new Event('visibilitychange'));
"""


async def test_a_small_window_has_controls_and_keeps_video(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server, tracks=[SCREEN])
    await session.next_of(signaling.Subscribe)
    await act(view, "layout")
    async with view.context.expect_page() as opened:
        await view.locator("[data-view=pip]").click()
    small = await opened.value
    await expect(small.locator(".floating-call")).to_be_visible()
    await view.evaluate(HIDE)
    await small.locator("[data-action=microphone]").click()
    await expect(small.get_by_role("button", name="Unmute")).to_be_visible()
    await expect(view.get_by_role("button", name="Unmute")).to_be_visible()
    await small.locator("[data-action=hand]").click()
    assert await session.next_of(signaling.Hand) == signaling.Hand(raised=True)
    await small.close()
    wishes = await session.next_of(signaling.Subscribe)  # the first since the page is hidden: until now video went on
    assert [wanted.on for wanted in wishes.tracks] == [False]


async def test_a_shared_screen_is_zoomed(view: Page, server: ScriptedServer) -> None:
    await enter(view, server, tracks=[SCREEN])
    tile = view.locator(".stage .tile")
    await tile.hover()
    await view.get_by_role("button", name="Zoom in").click()
    await expect(tile).to_have_class("tile tile-screen zoomed")
    await expect(view.locator(".stage video")).to_have_css("transform-origin", "0px 0px")
    await view.get_by_role("button", name="Zoom out").click()
    await expect(view.get_by_role("button", name="Zoom out")).to_be_disabled()
    await expect(tile).to_have_class("tile tile-screen")


async def test_an_iphone_shows_only_videos_on_the_full_screen(view: Page, server: ScriptedServer) -> None:
    await view.add_init_script(IPHONE)
    await enter(view, server, tracks=[SCREEN])
    await view.locator(".stage .tile").hover()
    await view.locator(".share-tools").get_by_role("button", name="Full screen").click()
    await view.wait_for_function("() => globalThis.full === document.querySelector('.stage video')")
    await act(view, "layout")
    await expect(view.locator("[data-view=pip]")).to_be_visible()
    await expect(view.locator("[data-view=full-screen]")).to_have_count(0)
