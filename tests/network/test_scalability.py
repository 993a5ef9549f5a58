"""One stream of several layers (SVC) from Chromium: viewers in both browsers decode as many as their link carries.

With fewer layers, a camera loses resolution, and a screen loses frame rate.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.network.behind_link import MS
from tests.network.test_coming_back import frames, viewer
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.chromium import FULL_RATE, LOOPBACK_FLAG, chromium
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host

LINK = LinkSettings(delay=5 * MS)
SCREEN = """
(async () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
  const picture = canvas.getContext('2d');
  let number = 0;
  setInterval(() => {
    number += 1;
    picture.fillStyle = '#eee';
    picture.fillRect(0, 0, 1280, 720);
    for (let index = 0; index < 500; index += 1) {
      picture.fillStyle = `hsl(${index * 47} 60% ${20 + (index * 7) % 50}%)`;
      picture.fillRect((index * 97 + number * 9) % 1280, (index * 61 + number * 5) % 720, 14, 9);
    }
  }, 1000 / 15);
  await sdkPage.room.publish('screen', canvas.captureStream(15).getVideoTracks()[0]);
})
"""
WISH = """
([...sdkPage.room.roster.tracks.values()].filter((track) => track.media === 'video')
  .forEach((track) => sdkPage.room.subscribe(track.id, {width: WIDTH, height: HEIGHT})), true)
"""


@asynccontextmanager
async def far_viewer(tmp_path: Path, kind: str) -> AsyncIterator[tuple[Host, str, Page, sdk_page.Evaluates]]:
    """A node, its address for a viewer behind a link, a publisher's page on this side, and that viewer's."""
    with emulated_host(LINK, LINK, 1) as link:
        async with (
            host(tmp_path, addresses=("127.0.0.1", link.server_address), signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site() as near,
            sdk_page.sdk_site(link.server_address) as far,
            chromium(flags=[LOOPBACK_FLAG, FULL_RATE]) as browser,
            viewer(kind, link, far) as bob,
        ):
            ann = await browser.browser.new_page()
            await ann.goto(near)
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            yield h, url, ann, bob


@pytest.mark.parametrize(
    ("kind", "codec", "mode"),
    [("chromium", "VP9", "L3T3_KEY"), ("chromium", "AV1", "L3T3"), ("firefox", "VP9", "L3T3")],
)
async def test_layers_of_one_stream_are_decoded(tmp_path: Path, kind: str, codec: str, mode: str) -> None:
    async with far_viewer(tmp_path, kind) as (h, url, ann, bob):
        camera = {"codec": codec, "scalabilityMode": mode}
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"), {"camera": camera})
        await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
        await _until_decoded(bob, 720)
        for width, height in ((320, 180), (640, 360), (1280, 720)):
            await bob.evaluate(WISH.replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
            await _until_decoded(bob, height)
        sent = await sdk_page.streams(ann, "outbound-rtp")
        assert [row["scalabilityMode"] for row in sent] == [mode]


@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_a_screen_comes_in_temporal_layers(tmp_path: Path, kind: str) -> None:
    """By which it keeps its resolution on a narrow link, see test_screens in tests/sfu/rooms."""
    async with far_viewer(tmp_path, kind) as (h, url, ann, bob):
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"))
        await ann.evaluate(f"{SCREEN}().then(() => true)")
        await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
        await _until_decoded(bob, 720)
        (uptrack,) = h.node.rooms["r"].uptracks.values()
        assert uptrack.layers == (1, 3)
        before, began = await frames(bob), time.monotonic()
        await asyncio.sleep(5)  # long enough for a rate
        rate = (await frames(bob) - before) / (time.monotonic() - began)
        print(f"{kind}: {rate:.1f} frames a second")
        assert rate > 10


async def _until_decoded(page: sdk_page.Evaluates, height: int) -> None:
    """Return once pictures of so many lines are decoded, some more of them each time one looks."""
    before = 0
    async with asyncio.timeout(30):
        while True:
            rows = [row for row in await sdk_page.streams(page) if row["kind"] == "video"]
            frames = sum(row.get("framesDecoded", 0) for row in rows)
            if any(row.get("frameHeight") == height for row in rows) and before and frames > before:
                return
            before = frames
            await asyncio.sleep(0.3)
