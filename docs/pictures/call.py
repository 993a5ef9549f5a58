"""Makes call.png: a screenshot in Chromium of a call with four people, on a server started for it.

Run `python docs/pictures/call.py` from the repository, in an environment with the tests' requirements. The cameras are
drawings: a person in front of a wall, each in different colours.
"""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import BrowserContext, Page

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "deploy")]

from parley_client import Api  # noqa: E402  after sys.path is set
from tests.support.call import become_admin  # noqa: E402
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium  # noqa: E402
from tests.support.server import running_server  # noqa: E402

PEOPLE = (("Ada", 222), ("Grace", 28), ("Linus", 150), ("Zoë", 325))
DRAWN_CAMERA = """
const hue = HUE;
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
  const c = canvas.getContext('2d');
  let turn = hue;
  const blob = (x, y, rx, ry, colour) => {
    c.fillStyle = colour; c.beginPath(); c.ellipse(x, y, rx, ry, 0, 0, 7); c.fill();
  };
  const draw = () => {
    turn += 0.02;
    const x = 640 + 10 * Math.sin(turn), wall = c.createLinearGradient(0, 0, 1280, 720);
    wall.addColorStop(0, `hsl(${hue} 34% 80%)`); wall.addColorStop(1, `hsl(${hue + 25} 32% 56%)`);
    c.fillStyle = wall; c.fillRect(0, 0, 1280, 720);
    c.fillStyle = `hsl(${hue + 40} 30% 90% / .7)`; c.fillRect(120, 90, 250, 330);
    c.fillStyle = `hsl(${hue + 200} 20% 40% / .5)`; c.fillRect(980, 210, 210, 14); c.fillRect(980, 340, 210, 14);
    blob(x, 640, 300, 240, `hsl(${hue + 160} 42% 36%)`);
    blob(x, 300, 136, 168, `hsl(${hue % 90 / 4 + 16} 30% 22%)`);
    blob(x, 440, 56, 80, 'hsl(24 42% 60%)');
    blob(x, 322, 112, 138, 'hsl(24 46% 68%)');
    blob(x - 42, 304, 10, 12, '#222'); blob(x + 42, 304, 10, 12, '#222');
    c.strokeStyle = '#733'; c.lineWidth = 6; c.beginPath(); c.arc(x, 362, 38, 0.35, 2.8); c.stroke();
  };
  draw(); setInterval(draw, 40);
  const sound = new AudioContext().createMediaStreamDestination().stream;
  return new MediaStream([...canvas.captureStream(25).getTracks(), ...sound.getTracks()]);
};
"""

ALL_SEEN = """
(() => {
  const videos = [...document.querySelectorAll('video')];
  return videos.length >= 4 && videos.every((video) => video.videoWidth >= 640)
    && !document.querySelector('.toast');
})()
"""


async def open_page(chrome: Chromium, hue: int) -> tuple[BrowserContext, Page]:
    context = await chrome.browser.new_context(viewport={"width": 1440, "height": 820})
    await context.add_init_script(DRAWN_CAMERA.replace("HUE", str(hue)))
    return context, await context.new_page()


async def main() -> None:
    with running_server() as server:
        async with Api(server.url) as api, chromium(flags=[LOOPBACK_FLAG]) as chrome:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Monday planning")
            pages = []
            for name, hue in PEOPLE:
                _, page = await open_page(chrome, hue)
                await page.goto(f"{server.url}/m/{meeting}")
                await page.get_by_label("Your name").fill(name)
                await page.get_by_role("button", name="Join").click()
                await page.get_by_role("button", name="Leave").wait_for()
                pages.append(page)
            async with asyncio.timeout(60):
                while not await pages[0].evaluate(ALL_SEEN):
                    await asyncio.sleep(0.2)
            await pages[0].screenshot(path=HERE / "call.png")


if __name__ == "__main__":
    asyncio.run(main())
