"""Two real browsers in a call on a cluster, and how long they are without media when something happens to its node."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from playwright.async_api import Page

from parley.client import Api
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, inbound, open_page
from tests.support.cluster import Cluster

FIRST_BROWSER = 2


class CallOfTwo:
    """A meeting with two pages in it. `node` is where it is."""

    def __init__(self, admin: Api, meeting: str, pages: tuple[Page, Page]) -> None:
        self.admin = admin
        self.meeting = meeting
        self.pages = pages

    async def room(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.admin.request("GET", f"/meetings/{self.meeting}/room")
        return found

    async def media_flows(self, besides: tuple[set[int], set[int]] = (set(), set()), seconds: float = 40) -> None:
        """Return when both pages hear and see the other on streams other than those `besides`."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_flows(page, old) for page, old in zip(self.pages, besides, strict=True)))

    async def streams(self) -> tuple[set[int], set[int]]:
        first, second = [{row["ssrc"] for row in await inbound(page)} for page in self.pages]
        return first, second

    async def without_media(self, happen: Callable[[], None], seconds: float = 40) -> float:
        """Let something happen that ends every stream; return after how many seconds both have all media again."""
        before = await self.streams()
        begun = time.monotonic()
        await asyncio.to_thread(happen)
        await self.media_flows(before, seconds)
        return time.monotonic() - begun


@contextlib.asynccontextmanager
async def call_of_two(cluster: Cluster, admin: Api) -> AsyncIterator[CallOfTwo]:
    """Have two guests join by the page from machines of their own, until media flows both ways."""
    meeting = await admin.create_meeting("Two")
    async with contextlib.AsyncExitStack() as stack:
        pages = []
        for host, name in ((FIRST_BROWSER, "Ada"), (FIRST_BROWSER + 1, "Grace")):
            browser = await stack.enter_async_context(chromium(cluster.network.hosts[host].prefix))
            page = await open_page(browser, f"{cluster.url_for(host)}/m/{meeting}")
            await page.get_by_label("Your name").fill(name)
            await page.locator("#join:not([disabled])").click()
            await page.locator(".tile").first.wait_for()
            pages.append(page)
        call = CallOfTwo(admin, meeting, (pages[0], pages[1]))
        await call.media_flows()
        yield call


@contextlib.asynccontextmanager
async def administrator(cluster: Cluster) -> AsyncIterator[Api]:
    """The first administrator of a cluster, made where there is none yet."""
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
