"""Browsers in calls through the gateway, and the time that each was without the page or without media."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Page

from tests.support.chromium import chromium, inbound, open_page
from tests.support.waiting import eventually

WATCH_GAPS = """
(() => {
  let packets = null, since = 0;
  window.longestGap = 0;
  setInterval(async () => {
    const now = (await inboundStreams()).reduce((sum, row) => sum + row.packets, 0);
    const asked = performance.now();
    if (now !== packets) { packets = now; since = asked; }
    window.longestGap = Math.max(window.longestGap, asked - since);
  }, 100);
})()
"""
"""Measures the longest time for which statistics showed the same number of packets.

Time in which a busy browser gives no statistics does not count, since packets may have arrived meanwhile.
"""


SENT = """
Promise.all(window.watchedPeers.map(async (peer) => ({
  state: peer.connectionState,
  sent: [...(await peer.getStats()).values()].filter(({type}) => ['outbound-rtp', 'media-source'].includes(type)),
}))).then(JSON.stringify)
"""


@dataclass(slots=True)
class Caller:
    """A browser in a meeting. `seen` are the statistics of the streams that it received when it was asked last."""

    page: Page
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def has_media(self, frames: int = 10) -> bool:
        """Return whether it decodes somebody's pictures and sound."""
        self.seen = rows = await inbound(self.page)
        pictures = [row for row in rows if row["kind"] == "video" and row["framesDecoded"] >= frames]
        return bool(pictures) and any(row["kind"] == "audio" and row["packets"] >= frames for row in rows)

    def without_media(self) -> str:
        """Return what a failed wait for media says."""
        return f"no media: {self.seen}"

    async def shows(self) -> str:
        """Return the text on the screen, and what is sent, to explain a failure."""
        sent = await self.page.evaluate(SENT)
        return f"{await self.page.inner_text('body')}\n{sent}"

    async def sees(self, people: int, frames: int = 10) -> bool:
        """Return whether it decodes the pictures of this many people."""
        rows = await inbound(self.page)
        return sum(row["kind"] == "video" and row["framesDecoded"] >= frames for row in rows) >= people

    async def moves(self) -> bool:
        """Return whether media is arriving."""
        before = await inbound(self.page)
        await asyncio.sleep(0.5)
        after = await inbound(self.page)
        return sum(row["packets"] for row in after) > sum(row["packets"] for row in before) > 0

    async def agree(self) -> None:
        """Consent to the recording of this caller's media."""
        await self.page.get_by_role("button", name="I agree").click()

    async def watch_gaps(self) -> None:
        """Start measuring the longest time without a packet."""
        await self.page.evaluate(WATCH_GAPS)

    async def longest_gap(self) -> float:
        """Return the longest time without a packet, in seconds."""
        return float(await self.page.evaluate("window.longestGap")) / 1000


@contextlib.asynccontextmanager
async def two_callers(
    url: str, meeting: str, prefix: Sequence[str], speech: Path | None = None
) -> AsyncIterator[tuple[Caller, Caller]]:
    """Yield two Chromium pages in a meeting once both see and hear each other; `prefix` enters its namespace.

    With a file of speech, both speak, and agree to captions.
    """
    flags = [] if speech is None else [f"--use-file-for-fake-audio-capture={speech}"]
    async with chromium(prefix, flags, whole=True, small_camera=True) as browser:
        callers = []
        for name in ("Ada", "Grace"):
            page = await open_page(browser, f"{url}/m/{meeting}")
            await page.get_by_label("Your name").fill(name)
            if speech is not None:
                await page.get_by_label("I agree to captions of what I say").check()
            await page.locator("#join:not([disabled])").click()
            await page.locator(".tile").first.wait_for()
            callers.append(Caller(page))
        try:
            for caller in callers:
                await eventually(caller.has_media, 60, caller.without_media)
        except AssertionError as error:
            for caller in callers:
                error.add_note(await caller.shows())
            raise
        yield callers[0], callers[1]


@dataclass(slots=True)
class PageWatch:
    """The longest time that a visitor waited for the page, in seconds."""

    longest_gap: float = 0.0


@contextlib.asynccontextmanager
async def watching_page(url: str) -> AsyncIterator[PageWatch]:
    """Request the page ten times a second, each time on a new connection, like new visitors.

    The gap is the time that a visitor waits, with failed requests repeated. Time in which a busy machine does not ask
    does not count.
    """
    watch = PageWatch()

    async def ask(session: aiohttp.ClientSession) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.get(url) as answer:
                return answer.status == 200
        return False

    async def run() -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5)) as session:
            since: float | None = None
            while True:
                since = time.monotonic() if since is None else since
                is_answered = await ask(session)
                watch.longest_gap = max(watch.longest_gap, time.monotonic() - since)
                if is_answered:
                    since = None
                await asyncio.sleep(0.1)

    task = asyncio.create_task(run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
