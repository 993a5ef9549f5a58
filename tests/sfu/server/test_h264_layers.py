"""Chromium's three layers of H264 keep their sizes, however coarse a very detailed picture becomes."""

import asyncio
from pathlib import Path

from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page

DETAIL = """
(async () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
  const picture = canvas.getContext('2d');
  let number = 0;
  setInterval(() => {
    number += 1;
    for (let index = 0; index < 900; index += 1) {
      picture.fillStyle = `hsl(${index * 47 + number * 13} 70% ${30 + (index * 7) % 50}%)`;
      picture.fillRect((index * 97 + number * 5) % 1280, (index * 61 + number * 3) % 720, 9, 9);
    }
  }, 1000 / 15);
  await sdkPage.room.publish('camera', canvas.captureStream(15).getVideoTracks()[0], {codec: 'H264'});
  return true;
})()
"""
FRAMES = 60
"""Else sizes fall after ten."""


async def test_a_coarse_picture_keeps_its_layers(tmp_path: Path) -> None:
    flags = [LOOPBACK_FLAG]
    async with host(tmp_path) as h, sdk_page.sdk_site() as site, chromium(flags=flags, whole=True) as running:
        bob, ann = await open_page(running, site), await open_page(running, site)
        await sdk_page.join_node(bob, h.signaling_url, h.control.token("r", "bob"))
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"))
        await ann.evaluate(DETAIL)
        async with asyncio.timeout(60):
            while True:
                rows = [row for row in await sdk_page.streams(ann, "outbound-rtp") if row["kind"] == "video"]
                heights = {row["rid"]: row["frameHeight"] for row in rows if row.get("frameHeight")}
                if heights.get("q", 180) != 180 or max((row["framesEncoded"] for row in rows), default=0) > FRAMES:
                    break
                await asyncio.sleep(0.2)
        assert {row["codec"] for row in rows} == {"video/H264"}
        heights.setdefault("h", 360)  # nobody watches it, so it may rest by now
        assert heights == {"q": 180, "h": 360, "f": 720}
