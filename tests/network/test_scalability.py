"""One stream of several layers (SVC) from Chromium: viewers in both browsers decode as many as they have room for."""

import asyncio
from pathlib import Path

import pytest

from tests.network.behind_link import MS
from tests.network.test_coming_back import viewer
from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host

LINK = LinkSettings(delay=5 * MS)
WISH = """
([...sdkPage.room.roster.tracks.values()].filter((track) => track.media === 'video')
  .forEach((track) => sdkPage.room.subscribe(track.id, {width: WIDTH, height: HEIGHT})), true)
"""


@pytest.mark.parametrize(
    ("kind", "codec", "mode"),
    [("chromium", "VP9", "L3T3_KEY"), ("chromium", "AV1", "L3T3"), ("firefox", "VP9", "L3T3")],
)
async def test_layers_of_one_stream_are_decoded(tmp_path: Path, kind: str, codec: str, mode: str) -> None:
    with emulated_host(LINK, LINK, 1) as link:
        async with (
            host(tmp_path, addresses=("127.0.0.1", link.server_address), signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site() as near,
            sdk_page.sdk_site(link.server_address) as far,
            chromium(flags=[LOOPBACK_FLAG]) as browser,
            viewer(kind, link, far) as bob,
        ):
            ann = await browser.browser.new_page()
            await ann.goto(near)
            camera = {"codec": codec, "scalabilityMode": mode}
            await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"), {"camera": camera})
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
            await _until_decoded(bob, 720)
            if codec == "VP9":  # of which layers are told apart
                for width, height in ((320, 180), (640, 360), (1280, 720)):
                    await bob.evaluate(WISH.replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
                    await _until_decoded(bob, height)
            sent = await sdk_page.streams(ann, "outbound-rtp")
            assert [row["scalabilityMode"] for row in sent] == [mode]


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
