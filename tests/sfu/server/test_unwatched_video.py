"""A video without simulcast stops in its publisher's Chromium while unwatched, and returns within a second."""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium

WISH = "([...sdkPage.room.roster.tracks.keys()].forEach((track) => sdkPage.room.subscribe(track, {on: ON})), true)"
RESTS_AFTER = 10


async def sent(page: sdk_page.Evaluates) -> dict[str, Any]:
    (row,) = [row for row in await sdk_page.streams(page, "outbound-rtp") if row["kind"] == "video"]
    return row


async def decoded(page: sdk_page.Evaluates, more_than: int) -> int:
    """Return how many frames of its video a page has decoded, once it has more than so many."""
    async with asyncio.timeout(30):
        while True:
            rows = [row for row in await sdk_page.streams(page) if row["kind"] == "video"]
            frames = sum(int(row.get("framesDecoded", 0)) for row in rows)
            if frames > more_than:
                return frames
            await asyncio.sleep(0.02)


async def test_a_single_stream_rests_unless_watched(tmp_path: Path) -> None:
    flags = [LOOPBACK_FLAG]
    async with host(tmp_path) as h, sdk_page.sdk_site() as site, chromium(flags=flags) as running:
        ann, bob = await running.browser.new_page(), await running.browser.new_page()
        for page in (ann, bob):
            await page.goto(site)
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"), {"camera": {}}, simulcast=False)
        await sdk_page.join_node(bob, h.signaling_url, h.control.token("r", "bob"))
        frames = await decoded(bob, 20)
        await bob.evaluate(WISH.replace("ON", "false"))
        async with asyncio.timeout(RESTS_AFTER + 10):
            while (await sent(ann))["active"]:
                await asyncio.sleep(0.1)
        frames = await decoded(bob, frames - 1)
        began = time.monotonic()
        await bob.evaluate(WISH.replace("ON", "true"))
        await decoded(bob, frames)
        took = time.monotonic() - began
        print(f"back after {took * 1000:.0f} ms")
        assert (await sent(ann))["active"]
