"""Two real browsers in a call on a cluster, and the time without media after an event at their node.

One connects through nginx, which routes it to the meeting's node, the other through control.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from playwright.async_api import Page

from parley_client import Api
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, inbound, open_page
from tests.support.cluster import Cluster

FIRST_BROWSER = 2


class CallOfTwo:
    """A meeting with two pages in it, on `node`."""

    def __init__(self, admin: Api, meeting: str, pages: tuple[Page, Page]) -> None:
        self.admin = admin
        self.meeting = meeting
        self.pages = pages

    async def room(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.admin.request("GET", f"/meetings/{self.meeting}/room")
        return found

    async def media_flows(self, besides: tuple[set[int], set[int]] = (set(), set()), seconds: float = 40) -> None:
        """Wait until both pages hear and see each other on streams other than those in `besides`."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_flows(page, old) for page, old in zip(self.pages, besides, strict=True)))

    async def media_goes_on(self, seconds: float = 40) -> None:
        """Wait until both pages have decoded more of every stream that they decode now."""
        before = [await inbound(page) for page in self.pages]
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_goes_on(page, rows) for page, rows in zip(self.pages, before, strict=True)))

    async def streams(self) -> tuple[set[int], set[int]]:
        first, second = [{row["ssrc"] for row in await inbound(page)} for page in self.pages]
        return first, second

    async def without_media(self, happen: Callable[[], None], seconds: float = 40) -> float:
        """Cause an event that ends every stream; return the seconds until both pages have all media again."""
        before = await self.streams()
        begun = time.monotonic()
        await asyncio.to_thread(happen)
        await self.media_flows(before, seconds)
        return time.monotonic() - begun


@contextlib.asynccontextmanager
async def call_of_two(cluster: Cluster, admin: Api, *, small_camera: bool = False) -> AsyncIterator[CallOfTwo]:
    """Let two guests join on the page, each from its own machine, and wait until media flows in both directions."""
    meeting = await admin.create_meeting("Two")
    async with contextlib.AsyncExitStack() as stack:
        pages = []
        ways = (cluster.gateway_for(FIRST_BROWSER), cluster.url_for(FIRST_BROWSER + 1))
        for host, name, url in zip((FIRST_BROWSER, FIRST_BROWSER + 1), ("Ada", "Grace"), ways, strict=True):
            prefix = cluster.network.hosts[host].prefix
            browser = await stack.enter_async_context(chromium(prefix, small_camera=small_camera))
            page = await open_page(browser, f"{url}/m/{meeting}")
            await page.get_by_label("Your name").fill(name)
            await page.get_by_label("I agree to be recorded").check()
            await page.locator("#join:not([disabled])").click()
            await page.locator(".tile").first.wait_for()
            pages.append(page)
        call = CallOfTwo(admin, meeting, (pages[0], pages[1]))
        await call.media_flows()
        yield call


@contextlib.asynccontextmanager
async def administrator(cluster: Cluster) -> AsyncIterator[Api]:
    """Return the first administrator of a cluster, created if there is none yet."""
    async with Api(cluster.url, verify_tls=False) as admin:
        token = cluster.setup_token()
        if token:
            await admin.set_up(token, "admin", PASSWORD)
        else:
            await admin.login("admin", PASSWORD)
        yield admin


async def _flows(page: Page, old: set[int]) -> None:
    while True:
        rows = [row for row in await inbound(page) if row["ssrc"] not in old]
        seen = any(row["kind"] == "video" and row["framesDecoded"] >= 3 for row in rows)
        if seen and any(row["kind"] == "audio" and row["packets"] >= 5 for row in rows):
            return
        await asyncio.sleep(0.05)


async def _goes_on(page: Page, before: list[dict[str, Any]]) -> None:
    """Wait until every active stream has delivered more media."""
    packets = {row["ssrc"]: row["packets"] for row in before if row["packets"]}
    while True:
        now = {row["ssrc"]: row["packets"] for row in await inbound(page)}
        if all(now.get(ssrc, 0) >= count + 20 for ssrc, count in packets.items()):
            return
        await asyncio.sleep(0.05)
