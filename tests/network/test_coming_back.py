"""Viewers that were killed and return, or whose address changes during a call, see moving pictures."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.network.behind_link import MS
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.bidi import Firefox, firefox
from tests.support.chromium import Chromium, chromium
from tests.support.layered_publisher import layered_publisher
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import EmulatedHost, emulated_host

SECONDS = 30
LINK = LinkSettings(delay=10 * MS)


class Viewer:
    """A page, and what ends its browser as a crash would."""

    def __init__(self, page: sdk_page.Evaluates, browser: Chromium | Firefox) -> None:
        self.evaluate = page.evaluate
        self.kill = browser.kill


@asynccontextmanager
async def viewer(kind: str, link: EmulatedHost, site: str) -> AsyncIterator[Viewer]:
    """A page of the site in a browser behind the link."""
    if kind == "firefox":
        async with firefox(link.prefix) as browser:
            await browser.navigate(site)
            yield Viewer(browser, browser)
    else:
        async with chromium(link.prefix) as running:
            page = await running.browser.new_page()
            await page.goto(site)
            yield Viewer(page, running)


async def frames(page: sdk_page.Evaluates) -> int:
    return sum(row.get("framesDecoded", 0) for row in await sdk_page.streams(page) if row["kind"] == "video")


async def until_moving(page: sdk_page.Evaluates, since: int, more: int = 3) -> None:
    """Return once more frames are decoded than there were; a fresh peer counts from zero."""
    async with asyncio.timeout(SECONDS):
        while (now := await frames(page)) < since + more:
            since = min(since, now)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def call(tmp_path: Path) -> AsyncIterator[tuple[Host, EmulatedHost, str, str]]:
    """A node with a publisher, a link to it, a page of the SDK behind it, and the URL of signaling from there."""
    with emulated_host(LINK, LINK, 1) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(link.server_address) as site,
            layered_publisher(h.signaling_url, h.control.token("r", "ann")),
        ):
            yield h, link, site, h.signaling_url.replace("127.0.0.1", link.server_address)


async def seconds_after_moving(tmp_path: Path, kind: str) -> float:
    """Return how long a viewer whose address changes is without moving pictures."""
    async with call(tmp_path) as (h, link, site, url), viewer(kind, link, site) as bob:
        await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
        await until_moving(bob, 0, 30)
        link.move()
        moved = time.monotonic()
        await asyncio.sleep(0.1)  # what was under way is there
        await until_moving(bob, await frames(bob))
        taken = time.monotonic() - moved
        assert await bob.evaluate("sdkPage.room.connection.state") == "connected"
    return taken


async def seconds_after_killing(tmp_path: Path, kind: str) -> float:
    """Return how long a viewer who was killed waits for moving pictures after joining again."""
    async with call(tmp_path) as (h, link, site, url), viewer(kind, link, site) as again:
        async with viewer(kind, link, site) as doomed:
            await sdk_page.join_node(doomed, url, h.control.token("r", "bob"))
            await until_moving(doomed, 0, 30)
            doomed.kill()
        began = time.monotonic()
        await sdk_page.join_node(again, url, h.control.token("r", "bob"))
        await until_moving(again, 0)
        return time.monotonic() - began


@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_after_a_change_of_address_pictures_move(tmp_path: Path, kind: str) -> None:
    assert await seconds_after_moving(tmp_path, kind) < SECONDS


async def test_a_viewer_that_was_killed_is_back(tmp_path: Path) -> None:
    assert await seconds_after_killing(tmp_path, "chromium") < SECONDS
