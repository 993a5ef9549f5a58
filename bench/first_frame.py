"""Join click to the first decoded frame of another participant, in Chromium, through a whole server on loopback.

A client of ours publishes a VP8 picture; a fresh browser page then opens the meeting's page, waits until its preview
stands, clicks "Join" and waits for the first frame that `requestVideoFrameCallback` reports on a remote tile.
"""

import asyncio
import statistics

from playwright.async_api import Page

from bench.report import Report, progress
from parley.client import Api, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium, open_page
from tests.support.encoders import encode
from tests.support.server import running_server

BAR_MS = 700

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
    """Measure 10 joins (4 when quick)."""
    with running_server() as server:
        times = asyncio.run(_measure(server.url, server.setup_token, 4 if quick else 10))
    report = Report()
    median = statistics.median(times)
    report.at_most("Chromium, loopback", "join click to first remote frame, median", median, "ms", BAR_MS)
    report.add("Chromium, loopback", "join click to first remote frame, worst", max(times), "ms")
    return report


async def _measure(url: str, setup_token: str, joins: int) -> list[float]:
    async with Api(url) as admin, chromium(flags=[LOOPBACK_FLAG]) as browser:
        await admin.set_up(setup_token, "admin", "correct horse battery staple")
        meeting = await admin.create_meeting("Bench")
        joined = await admin.join(meeting, "Publisher")
        async with Room(admin.signaling_url(joined), token=joined.token) as publisher:
            publishing = asyncio.create_task(_publish(publisher))
            try:
                address = f"{url}/m/{meeting}"
                return [await _join(browser, address, number) for number in progress(range(joins), "joining")]
            finally:
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)


async def _publish(room: Room) -> None:
    """Send a moving picture at 30 frames a second, from its keyframe again whenever one is asked for."""
    (video,) = await room.publish((Source.CAMERA, Codec.VP8))
    frames = encode(Codec.VP8, frames=90, width=640, height=360, keyframe_every=90)
    answered = position = 0
    for number in range(1_000_000):
        if video.keyframe_requests > answered or position == len(frames):
            answered, position = video.keyframe_requests, 0
        data, keyframe = frames[position]
        video.send_frame(data, number * 3000, keyframe=keyframe)
        position += 1
        await asyncio.sleep(1 / 30)


async def _join(browser: Chromium, address: str, number: int) -> float:
    page: Page = await open_page(browser, address, viewport={"width": 1280, "height": 800})
    await page.get_by_label("Your name").fill(f"Guest {number}")
    await page.locator(".prejoin-media video:not([hidden])").wait_for()
    milliseconds: float = await page.evaluate(_FIRST_FRAME)
    await page.context.close()
    return milliseconds
