"""A camera of any size arrives at full size, even if it is replaced or changes its size during the call."""

import asyncio
from pathlib import Path

import pytest

from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page

PUBLISH = """
(async () => {
  const pictures = {};
  window.cameraOf = (width, height) => {
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const pen = canvas.getContext('2d');
    let number = 0;
    setInterval(() => {
      number += 1;
      pen.fillStyle = `hsl(${number * 7 % 360} 60% 40%)`;
      pen.fillRect(0, 0, canvas.width, canvas.height);
    }, 50);
    window.canvas = canvas;
    return canvas.captureStream(20).getVideoTracks()[0];
  };
  await sdkPage.room.publish('camera', cameraOf(WIDTH, HEIGHT), {codec: 'CODEC'});
  return true;
})()
"""
EXCHANGE = "(async () => { await sdkPage.room.publish('camera', cameraOf(WIDTH, HEIGHT)); return true; })()"
RESIZE = "(() => { [canvas.width, canvas.height] = [WIDTH, HEIGHT]; return true; })()"


def sized(script: str, size: tuple[int, int], codec: str = "VP8") -> str:
    width, height = size
    return script.replace("WIDTH", str(width)).replace("HEIGHT", str(height)).replace("CODEC", codec)


async def shown(page: sdk_page.Evaluates, size: tuple[int, int]) -> None:
    """Wait until the page decodes pictures of that size."""
    found: list[tuple[int, int]] = []
    async with asyncio.timeout(60):
        while size not in found:
            await asyncio.sleep(0.2)
            rows = await sdk_page.streams(page, "inbound-rtp")
            found = [(row.get("frameWidth", 0), row.get("frameHeight", 0)) for row in rows if row["kind"] == "video"]


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
async def test_full_size_arrives(tmp_path: Path, codec: str) -> None:
    async with host(tmp_path) as h, sdk_page.sdk_site() as site, chromium(flags=[LOOPBACK_FLAG]) as running:
        bob, ann = await open_page(running, site), await open_page(running, site)
        await sdk_page.join_node(bob, h.signaling_url, h.control.token("r", "bob"))
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"))
        await ann.evaluate(sized(PUBLISH, (640, 360), codec))
        await shown(bob, (640, 360))
        if codec == "VP8":
            for script, size in ((EXCHANGE, (1280, 720)), (EXCHANGE, (640, 480)), (RESIZE, (320, 180))):
                await ann.evaluate(sized(script, size))
                await shown(bob, size)
            await ann.evaluate(sized(RESIZE, (960, 540)))
            await shown(bob, (960, 540))
