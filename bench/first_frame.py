"""Time from the click on Join to the first decoded frame of another participant, in Chromium with a complete server.

Somebody sends a camera of 720p. A new page opens the meeting, waits for its preview and for a second, as people do,
clicks "Join" and waits for the first frame that `requestVideoFrameCallback` reports on a remote tile. The sender's
pictures are encoded beforehand: its encoder would have a machine of its own, and everything here runs on one.
"""

import asyncio
import statistics
from fractions import Fraction

import av
import numpy as np
from PIL import Image
from playwright.async_api import Page

from bench.report import Report, progress
from parley_client import Api, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.call import become_admin, send
from tests.support.chromium import FULL_RATE, LOOPBACK_FLAG, Chromium, chromium, open_page
from tests.support.server import running_server

BAR_MS = 350
_HESITATES_SECONDS = 1.0

_FIRST_FRAME = """
() => new Promise((resolve) => {
  const clicked = performance.now();
  const watched = new WeakSet();
  const look = () => {
    for (const video of document.querySelectorAll('.tile:not(.tile-self) video')) {
      if (watched.has(video)) continue;
      watched.add(video);
      video.requestVideoFrameCallback(() => resolve(performance.now() - clicked));
    }
  };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  document.querySelector('#join').click();
  look();
})
"""


def run(*, quick: bool) -> Report:
    """Measure 10 joins (4 if quick)."""
    with running_server() as server:
        times = asyncio.run(_measure(server.url, server.setup_token, 4 if quick else 10))
    report = Report()
    median = statistics.median(times)
    report.at_most("Chromium, loopback", "join click to first remote frame, median", median, "ms", BAR_MS)
    report.add("Chromium, loopback", "join click to first remote frame, worst", max(times), "ms")
    return report


async def _measure(url: str, setup_token: str, joins: int) -> list[float]:
    async with Api(url) as admin, chromium(flags=[LOOPBACK_FLAG, FULL_RATE], whole=True) as browser:
        await become_admin(admin, setup_token)
        meeting = await admin.create_meeting("Bench")
        address = f"{url}/m/{meeting}"
        sender = await admin.join(meeting, "Sender")
        async with Room(admin.signaling_url(sender), token=sender.token) as room:
            camera, microphone = await room.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            sending = asyncio.create_task(send(camera, microphone, _pictures()))
            try:
                return [await _join(browser, address, number) for number in progress(range(joins), "joining")]
            finally:
                sending.cancel()


def _pictures() -> tuple[tuple[bytes, bool], ...]:
    """Return encoded pictures of 720p that drift, the first one a keyframe of about 30 KB, as of a calm camera."""
    rough = np.random.default_rng(1).integers(40, 220, (20, 64), np.uint8)
    wide = np.asarray(Image.fromarray(rough).resize((2560, 720), Image.Resampling.BICUBIC))
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.bit_rate = 1280, 720, "yuv420p", 1_500_000
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": "1000"}
    drifting = (np.ascontiguousarray(wide[:, 4 * step : 4 * step + 1280]) for step in range(250))
    packets = [packet for luma in drifting for packet in context.encode(av.VideoFrame.from_ndarray(luma, "gray8"))]
    return tuple((bytes(packet), packet.is_keyframe) for packet in packets)


async def _open(browser: Chromium, address: str, name: str) -> Page:
    """Open the meeting's page and wait for its preview."""
    page = await open_page(browser, address, viewport={"width": 1280, "height": 800})
    await page.get_by_label("Your name").fill(name)
    await page.locator(".prejoin-media video:not([hidden])").wait_for()
    return page


async def _join(browser: Chromium, address: str, number: int) -> float:
    page = await _open(browser, address, f"Guest {number}")
    await asyncio.sleep(_HESITATES_SECONDS)
    milliseconds: float = await page.evaluate(_FIRST_FRAME)
    await page.context.close()
    return milliseconds
