"""Calls between pages of a real browser."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.sfu.server.browser_page import page_server
from tests.sfu.server.harness import Host, host
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page
from tests.support.waiting import eventually

Received = dict[str, dict[str, Any]]


async def join(browser: Browser, url: str, h: Host, who: str) -> Page:
    page = await open_page(browser, url)
    await enter(page, h, who)
    return page


async def enter(page: Page, h: Host, who: str) -> None:
    await page.evaluate("([url, token]) => join(url, {token})", [h.signaling_url, h.control.token("r", who)])


async def received(page: Page) -> Received:
    result: Received = await page.evaluate("received()")
    return result


async def until_received(page: Page, track: str, field: str, more_than: int, seconds: float = 30) -> None:
    """Wait until a statistic of a track exceeds a bound."""
    async with asyncio.timeout(seconds):
        while (await received(page)).get(track, {}).get(field, 0) <= more_than:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def stage(tmp_path: Path, **changes: Any) -> AsyncIterator[tuple[Host, Browser, str]]:
    async with host(tmp_path, **changes) as h, page_server() as url, chromium(flags=[LOOPBACK_FLAG]) as browser:
        yield h, browser, url


async def test_two_pages_and_a_late_third(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann, bob = await join(browser, url, h, "ann"), await join(browser, url, h, "bob")
        of_ann = await ann.evaluate("publishTracks(['microphone', 'camera'])")
        of_bob = await bob.evaluate("publishTracks(['microphone', 'camera'])")
        for page, tracks in ((ann, of_bob), (bob, of_ann)):
            await until_received(page, tracks["camera"], "frames", 60)
            await until_received(page, tracks["microphone"], "packets", 100)
        eve = await open_page(browser, url)
        begun = time.monotonic()
        await enter(eve, h, "eve")
        for track in (of_ann["camera"], of_bob["camera"]):
            await until_received(eve, track, "frames", 0, 5)
        print(f"a late joiner sees both after {time.monotonic() - begun:.2f} s")
        screen = (await bob.evaluate("publishTracks(['screen'])"))["screen"]
        await until_received(eve, screen, "frames", 5)
        await bob.evaluate("track => tell({kind: 'unpublish', track})", screen)
        await eve.wait_for_function("track => state.slots.every((slot) => slot.track !== track)", arg=screen)


@pytest.mark.parametrize("codec", ["video/VP8", "video/VP9", "video/H264", "video/AV1"])
async def test_every_codec_passes(tmp_path: Path, codec: str) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann, bob = await join(browser, url, h, "ann"), await join(browser, url, h, "bob")
        tracks = await ann.evaluate("codec => publishTracks(['camera'], {codec})", codec)
        await until_received(bob, tracks["camera"], "frames", 20)
        assert f"video/{h.node.rooms['r'].uptracks[tracks['camera']].info().codec}" == codec
        eve = await join(browser, url, h, "eve")
        await until_received(eve, tracks["camera"], "frames", 20)


async def test_a_hidden_tile_costs_nothing_and_comes_back_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann, bob = await join(browser, url, h, "ann"), await join(browser, url, h, "bob")
        track = (await ann.evaluate("publishTracks(['camera'])"))["camera"]
        await until_received(bob, track, "frames", 10)
        wish = "([track, on]) => tell({kind: 'subscribe', tracks: [{track, on, width: 320, height: 180}]})"
        await bob.evaluate(wish, [track, False])
        await eventually(lambda: not h.node.rooms["r"].uptracks[track].watchers)
        sent = h.node.context.engine.counters["forwarded"]
        arrived = h.node.context.engine.counters["datagrams_in"]
        await eventually(lambda: h.node.context.engine.counters["datagrams_in"] > arrived + 50)
        assert h.node.context.engine.counters["forwarded"] == sent
        await bob.evaluate(wish, [track, True])
        (downtrack,) = await eventually(lambda: h.node.rooms["r"].uptracks[track].watchers)
        assert downtrack.wanted.width == 320
        await eventually(lambda: h.node.context.engine.counters["forwarded"] > sent + 20)


async def test_simulcast_gives_the_highest_layer(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann, bob = await join(browser, url, h, "ann"), await join(browser, url, h, "bob")
        track = (await ann.evaluate("publishTracks(['camera'], {simulcast: true})"))["camera"]
        await until_received(bob, track, "width", 1279, 20)
        uptrack = h.node.rooms["r"].uptracks[track]
        assert {stream.rid for stream in uptrack.streams} == {"q", "h", "f"}
        (downtrack,) = uptrack.watchers
        assert downtrack.stream is not None
        assert downtrack.stream.rid == "f"
