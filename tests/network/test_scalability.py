"""One stream of several layers (SVC) from Chromium: every layer of it is decoded by viewers in both browsers."""

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


@pytest.mark.parametrize(
    ("kind", "codec", "mode"),
    [("chromium", "VP9", "L3T3_KEY"), ("chromium", "AV1", "L3T3"), ("firefox", "VP9", "L3T3")],
)
async def test_all_layers_are_decoded(tmp_path: Path, kind: str, codec: str, mode: str) -> None:
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
            seen: list[tuple[str, int, int]] = []
            async with asyncio.timeout(40):
                while not any(frames > 60 and height == 720 for _, frames, height in seen):
                    await asyncio.sleep(0.2)
                    seen = [
                        (row["codec"], row.get("framesDecoded", 0), row.get("frameHeight", 0))
                        for row in await sdk_page.streams(bob)
                        if row["kind"] == "video"
                    ]
            sent = await sdk_page.streams(ann, "outbound-rtp")
            print(kind, seen, [(row["codec"], row.get("scalabilityMode"), row.get("frameHeight")) for row in sent])
            assert [row["scalabilityMode"] for row in sent] == [mode]
