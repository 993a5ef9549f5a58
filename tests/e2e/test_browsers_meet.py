"""Real browsers, each in its own network namespace, meet over HTTPS: frames are decoded on every side.

The other tests use Chromium's headless shell and small cameras; here, whole Chromiums with cameras of 1280×720, sent in
three layers, meet each other and Firefox.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from playwright.async_api import Page, expect

from tests.e2e.conftest import Deployment
from tests.support.bidi import SMALL_CAMERA, Firefox, firefox
from tests.support.chromium import WATCH_PEERS, chromium, inbound, open_page

Streams = Callable[[], Awaitable[list[dict[str, Any]]]]


async def join_by_page(page: Page, name: str) -> None:
    """Fill in the name and join, as a guest does."""
    await page.get_by_label("Your name").fill(name)
    await page.locator("#join:not([disabled])").click()
    await page.locator(".tile").first.wait_for()


@contextlib.asynccontextmanager
async def chromium_guest(
    deployment: Deployment, host: int, meeting: str, name: str, *, whole: bool = False
) -> AsyncIterator[Page]:
    """A guest with a small camera, or with the whole browser and a camera of ordinary size."""
    async with chromium(deployment.network.hosts[host].prefix, whole=whole, small_camera=not whole) as browser:
        page = await open_page(browser, f"{deployment.url_for(host)}/m/{meeting}")
        await join_by_page(page, name)
        yield page


@contextlib.asynccontextmanager
async def firefox_guest(
    deployment: Deployment, host: int, meeting: str, name: str, *, small_camera: bool = True
) -> AsyncIterator[Firefox]:
    async with firefox(prefix=deployment.network.hosts[host].prefix) as browser:
        if small_camera:
            await browser.add_preload(SMALL_CAMERA)
        await browser.add_preload(f"() => {{ {WATCH_PEERS} }}")
        await browser.navigate(f"{deployment.url_for(host)}/m/{meeting}")
        await _join_in_firefox(browser, name)
        yield browser


async def _join_in_firefox(browser: Firefox, name: str) -> None:
    await browser.until("document.querySelector('input[name=name]') !== null")
    await browser.evaluate(
        f"(() => {{ const n = document.querySelector('input[name=name]'); n.value = {name!r};"
        " n.dispatchEvent(new Event('input', {bubbles: true})); document.querySelector('#join').click(); })()"
    )
    await browser.until("document.querySelector('.tile') !== null")


def decoded(rows: list[dict[str, Any]]) -> tuple[int, int, int]:
    """(video streams that decode, fewest frames decoded by one of them, audio packets of the busiest)."""
    frames = [row["framesDecoded"] for row in rows if row["kind"] == "video" and row["framesDecoded"]]
    audio = [row["packets"] for row in rows if row["kind"] == "audio"]
    return len(frames), min(frames, default=0), max(audio, default=0)


async def until_media(streams: Streams, *, videos: int, frames: int, audio: int, seconds: float) -> None:
    """Return when `videos` streams have decoded at least `frames` each and one audio stream brought `audio` packets."""
    seen: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                seen = await streams()
                count, fewest, packets = decoded(seen)
                if count >= videos and fewest >= frames and packets >= audio:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not {videos} videos × {frames} frames and {audio} audio packets: {seen}") from None


def of_chromium(page: Page) -> Streams:
    return lambda: inbound(page)


def of_firefox(browser: Firefox) -> Streams:
    return lambda: browser.evaluate("inboundStreams()")


async def test_chromium_and_firefox_decode_each_other(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Two kinds")
    async with (
        chromium_guest(deployment, 0, meeting, "Ada", whole=True) as ada,
        firefox_guest(deployment, 1, meeting, "Frida", small_camera=False) as frida,
    ):
        await until_media(of_chromium(ada), videos=1, frames=61, audio=101, seconds=30)
        await until_media(of_firefox(frida), videos=1, frames=61, audio=101, seconds=30)
        await _work_together(ada, frida)
        # Later participants find the notes and the drawing.
        await frida.evaluate("location.reload()")
        await _join_in_firefox(frida, "Frida")
        await _press(frida, "[data-action=notes]")
        await frida.until("document.querySelector('.notes-text')?.value === '<b>Agenda</b>, and more'")
        await _press(frida, "[data-action=board]")
        await frida.until("document.querySelector('.board-canvas')?.getAttribute('aria-label').includes('1 item')")


async def _press(browser: Firefox, selector: str) -> None:
    """Click what is there, as soon as it can be."""
    await browser.until(
        f"(() => {{ const found = document.querySelector({selector!r});"
        " if (!found || found.disabled) return false; found.click(); return true; })()"
    )


async def _work_together(ada: Page, frida: Firefox) -> None:
    """Write, draw, react and choose a background, each browser in its turn."""
    for shown in ("notes", "board"):
        await ada.locator(f"[data-action={shown}]").click()
        await _press(frida, f"[data-action={shown}]")
        if shown == "notes":
            await ada.locator("textarea.notes-text").fill("<b>Agenda</b>")
            await frida.until("document.querySelector('.notes-text')?.value === '<b>Agenda</b>'")
            await frida.evaluate(
                "(() => { const notes = document.querySelector('.notes-text'); notes.value += ', and more';"
                " notes.dispatchEvent(new Event('input')); })()"
            )
            await expect(ada.locator("textarea.notes-text")).to_have_value("<b>Agenda</b>, and more")
            continue
        await frida.until("document.querySelector('.board-canvas') !== null")
        await ada.locator(".board-canvas").hover()
        await ada.mouse.down()
        await ada.mouse.move(900, 300, steps=5)
        await ada.mouse.up()
        await frida.until("document.querySelector('.board-canvas').getAttribute('aria-label').includes('1 item')")
    await ada.keyboard.press("x")
    await expect(ada.locator(".tile:not(.tile-self) .tile-statistics")).to_contain_text("VP8")
    await ada.keyboard.press("x")
    await ada.locator("[data-action=chat]").click()
    await _press(frida, "[data-action=chat]")
    await ada.locator(".compose textarea").fill("Ready?")
    await ada.keyboard.press("Enter")
    await _press(frida, ".message-actions button")
    await _press(frida, ".emoji-picker button")
    await expect(ada.locator(".chip")).to_have_accessible_name("Like, 1 person: Frida")
    await _press(frida, "[data-action=devices]")
    await _press(frida, "[data-settings=effects]")
    await _press(frida, "input[value=dusk]")
    await frida.until("document.querySelector('.effects-preview [role=status]').textContent === ''")
    # The test camera of Firefox is of one colour; the background is not.
    await ada.wait_for_function(
        """() => {
          const context = new OffscreenCanvas(1, 9).getContext('2d');
          context.drawImage(document.querySelector('.tile:not(.tile-self) video'), 0, 0, 1, 9);
          const of = (y) => context.getImageData(0, y, 1, 1).data;
          return of(1)[2] > of(1)[0] && of(6)[0] > of(6)[2] && of(6)[0] > 120;
        }"""
    )


async def test_two_chromiums_decode_each_other_and_a_third_that_joins_late(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Three")
    async with (
        chromium_guest(deployment, 0, meeting, "Ada") as ada,
        chromium_guest(deployment, 1, meeting, "Grace") as grace,
    ):
        await until_media(of_chromium(ada), videos=1, frames=61, audio=101, seconds=30)
        await until_media(of_chromium(grace), videos=1, frames=61, audio=101, seconds=30)
        async with chromium_guest(deployment, 2, meeting, "Late") as late:
            await until_media(of_chromium(late), videos=2, frames=1, audio=1, seconds=30)
            await until_media(of_chromium(ada), videos=2, frames=10, audio=10, seconds=30)


async def test_a_killed_browser_vanishes(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Killed")
    async with (
        chromium_guest(deployment, 0, meeting, "Ada") as ada,
        chromium(deployment.network.hosts[1].prefix, whole=True) as doomed,
    ):
        page = await open_page(doomed, f"{deployment.url_for(1)}/m/{meeting}")
        await join_by_page(page, "Doomed")
        await until_media(of_chromium(ada), videos=1, frames=10, audio=10, seconds=30)
        await ada.locator(".tile", has_text="Doomed").wait_for()
        doomed.kill()
        await ada.locator(".tile", has_text="Doomed").wait_for(state="detached", timeout=35_000)


async def test_a_shared_screen_appears_and_disappears(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Screen")
    async with (
        chromium_guest(deployment, 0, meeting, "Ada", whole=True) as ada,
        chromium_guest(deployment, 1, meeting, "Grace", whole=True) as grace,
    ):
        await until_media(of_chromium(grace), videos=1, frames=10, audio=10, seconds=30)
        await ada.locator(".bar-screen").click()
        await grace.locator(".tile-screen").wait_for(timeout=30_000)
        await until_media(of_chromium(grace), videos=2, frames=10, audio=10, seconds=30)
        await ada.locator(".bar-screen").click()
        await grace.locator(".tile-screen").wait_for(state="detached", timeout=30_000)
