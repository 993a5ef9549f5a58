"""Time from the click on Join to the first decoded frame of another participant, in Chromium with a complete server.

One page publishes its camera. A new one opens the meeting's page, waits for its preview, clicks "Join"
and waits for the first frame that `requestVideoFrameCallback` reports on a remote tile. All run on this machine.
"""

import asyncio
import statistics

from playwright.async_api import Page

from bench.report import Report, progress
from parley_client import Api
from tests.support.call import become_admin
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium, open_page
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
    """Measure 10 joins (4 if quick)."""
    with running_server() as server:
        times = asyncio.run(_measure(server.url, server.setup_token, 4 if quick else 10))
    report = Report()
    median = statistics.median(times)
    report.at_most("Chromium, loopback", "join click to first remote frame, median", median, "ms", BAR_MS)
    report.add("Chromium, loopback", "join click to first remote frame, worst", max(times), "ms")
    return report


async def _measure(url: str, setup_token: str, joins: int) -> list[float]:
    async with Api(url) as admin, chromium(flags=[LOOPBACK_FLAG], whole=True) as browser:
        await become_admin(admin, setup_token)
        meeting = await admin.create_meeting("Bench")
        address = f"{url}/m/{meeting}"
        publisher = await _open(browser, address, "Publisher")
        await publisher.locator("#join").click()
        await publisher.locator(".call").wait_for()
        return [await _join(browser, address, number) for number in progress(range(joins), "joining")]


async def _open(browser: Chromium, address: str, name: str) -> Page:
    """Open the meeting's page and wait for its preview."""
    page = await open_page(browser, address, viewport={"width": 1280, "height": 800})
    await page.get_by_label("Your name").fill(name)
    await page.locator(".prejoin-media video:not([hidden])").wait_for()
    return page


async def _join(browser: Chromium, address: str, number: int) -> float:
    page = await _open(browser, address, f"Guest {number}")
    milliseconds: float = await page.evaluate(_FIRST_FRAME)
    await page.context.close()
    return milliseconds
