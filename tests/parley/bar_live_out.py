"""A meeting sent live for ten minutes by RTMP, SRT and low-latency HLS: no picture is missing, and each is soon seen.

    BAR_SECONDS=600 .venv/bin/pytest -q -s tests/parley/bar_live_out.py

The camera's pictures show the time. FFmpeg listens for RTMP, GStreamer for SRT, and hls.js (npm) plays HLS in Chromium.
In a second test the RTMP server is away for 20 s. The machine should have nothing else to do.
"""

import asyncio
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.async_api import Page

from parley_client import Api
from tests.parley.clock_camera import RATE
from tests.support.call import become_admin
from tests.support.chromium import chromium
from tests.support.ports import free_ports
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

SECONDS = int(os.environ.get("BAR_SECONDS", "600"))
RTMP_MS, HLS_MS, AWAY_SECONDS = 4000, 5000, 20
NPM = shlex.split(os.environ.get("HLS_JS", "npm install --silent --no-save hls.js@1.7.4 --prefix"))
KEY, PASSPHRASE = "live_key-that_nobody_sees", "a-passphrase-for-srt"
SETTLED = 10 * RATE
"""The pictures of a sink's first seconds, which FFmpeg reads late because it looks for streams first."""

ROOT = Path(__file__).parents[2]

PLAY = """
(url) => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.replaceChildren(video);
  const hls = new Hls({lowLatencyMode: true});
  hls.loadSource(url);
  hls.attachMedia(video);
  const canvas = new OffscreenCanvas(1280, 720).getContext('2d', {willReadFrequently: true});
  window.ages = [];
  window.stalls = 0;
  video.addEventListener('waiting', () => { window.stalls += window.ages.length > 0; });
  const look = () => {
    canvas.drawImage(video, 0, 0, 1280, 720);
    const row = canvas.getImageData(0, 360, 1280, 1).data;
    let shown = 0;
    for (let bit = 0; bit < 32; bit += 1) if (row[4 * (40 * bit + 20)] > 125) shown += 2 ** bit;
    window.ages.push((Date.now() - shown + 2 ** 32) % 2 ** 32);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  return video.play();
}
"""


@dataclass(slots=True)
class Sink:
    """Output of a sink: timestamps (s) and ages (ms) of its pictures."""

    times: list[float] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)

    async def read(self, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            time, age = line.split()
            self.times.append(float(time))
            self.ages.append(int(age))

    @property
    def missing(self) -> int:
        """Number of pictures of a steady rate that are not there."""
        return round((self.times[-1] - self.times[0]) * RATE) + 1 - len(self.times)

    def gaps(self) -> list[tuple[int, int]]:
        """Return where pictures are missing: the second, and how many."""
        steps = ((at, round((later - at) * RATE) - 1) for at, later in itertools.pairwise(self.times))
        return [(round(at), count) for at, count in steps if count]


def program(name: str, *arguments: str) -> str:
    """Return the command line of a program beside this file."""
    return shlex.join([sys.executable, "-m", f"tests.parley.{name}", *arguments])


@contextlib.asynccontextmanager
async def process(command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    one = await asyncio.create_subprocess_shell(command, stdout=-1, cwd=ROOT, start_new_session=True)
    try:
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, 9)
        await one.wait()


@contextlib.asynccontextmanager
async def sink(command: str) -> AsyncIterator[Sink]:
    async with process(command) as one:
        assert one.stdout is not None
        found = Sink()
        reading = asyncio.create_task(found.read(one.stdout))
        try:
            yield found
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """A meeting with a camera, before its broadcast starts."""

    api: Api
    base: str
    server: RunningServer

    async def outputs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.request("GET", self.base))["outputs"]
        return found

    async def add(self, **output: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.api.request("POST", f"{self.base}/outputs", output)
        return found


@contextlib.asynccontextmanager
async def stage(seconds: float) -> AsyncIterator[Stage]:
    with running_server(private_broadcasts="true", inference="false") as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("On air", consent="implied")
            key = await api.request("POST", f"/meetings/{meeting}/stream-keys", {"name": "Van", "role": "publish"})
            async with process(program("clock_camera", f"{server.url}/whip", key["secret"], str(seconds))):
                yield Stage(api, f"/meetings/{meeting}/broadcast", server)


@contextlib.asynccontextmanager
async def player(url: str, library: Path) -> AsyncIterator[Page]:
    async with chromium() as browser:
        context = await browser.browser.new_context(bypass_csp=True)
        page = await context.new_page()
        await page.goto(url)
        await page.add_script_tag(path=str(library))
        yield page


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.timeout(SECONDS + 300)
async def test_ten_minutes_without_a_dropped_picture(tmp_path: Path) -> None:
    await asyncio.to_thread(subprocess.run, [*NPM, tmp_path], check=True)
    library = tmp_path / "node_modules" / "hls.js" / "dist" / "hls.min.js"
    first, second = free_ports(2)
    rtmp, srt = f"rtmp://127.0.0.1:{first}/live", f"srt://127.0.0.1:{second}"
    received = f"gst-launch-1.0 -q srtsrc uri='{srt}?mode=listener' passphrase={PASSPHRASE} ! fdsink"
    async with (
        stage(SECONDS + 120) as stand,
        sink(program("clock_sink", f"{rtmp}/{KEY}")) as by_rtmp,
        sink(f"{received} | {program('clock_sink', '-')}") as by_srt,
    ):
        await stand.add(kind="rtmp", name="Stage", url=rtmp, key=KEY)
        await stand.add(kind="srt", name="Van", url=f"{srt}?passphrase={PASSPHRASE}", key=KEY)
        state = await stand.add(kind="hls", name="Web")
        await stand.api.request("POST", f"{stand.base}/start", {"layout": "single"})
        await eventually(lambda: len(by_rtmp.ages) > 0 and len(by_srt.ages) > 0, 60, "no pictures arrive")
        async with player(stand.server.url, library) as page:
            await page.evaluate(PLAY, stand.server.url + state["outputs"][-1]["watch_url"])
            await asyncio.sleep(SECONDS)
            watched, stalls = await page.evaluate("[window.ages, window.stalls]")
        outputs = await stand.outputs()
    delays = {"RTMP": by_rtmp.ages[SETTLED:], "SRT": by_srt.ages[SETTLED:], "HLS": watched[SETTLED:]}
    for name, ages in delays.items():
        ages.sort()
        print(
            f"\n{name}: {len(ages)} pictures, {median(ages)} ms old, 99 % within {ages[len(ages) * 99 // 100]} ms",
            end="",
        )
    print(f"\nHLS stalled {stalls} times; missing by RTMP {by_rtmp.missing}, by SRT {by_srt.missing}")
    print([(one["name"], one["dropped"], one["delay_ms"]) for one in outputs])
    assert by_rtmp.missing == by_srt.missing == 0
    assert not any(one["dropped"] for one in outputs)
    assert median(delays["RTMP"]) <= RTMP_MS
    assert median(delays["HLS"]) <= HLS_MS
    assert len(watched) >= 0.99 * RATE * (SECONDS - 10)


@pytest.mark.timeout(240)
async def test_a_server_that_was_away_gets_the_meeting_again() -> None:
    rtmp = f"rtmp://127.0.0.1:{free_ports(1)[0]}/live"
    async with stage(200) as stand:
        await stand.add(kind="rtmp", name="Stage", url=rtmp, key=KEY)
        async with sink(program("clock_sink", f"{rtmp}/{KEY}")) as before:
            await stand.api.request("POST", f"{stand.base}/start", {"layout": "single"})
            await eventually(lambda: len(before.ages) > SETTLED, 60, "no pictures arrive")
        await asyncio.sleep(AWAY_SECONDS)
        (output,) = await stand.outputs()
        assert output["phase"] == "retrying"
        began = asyncio.get_running_loop().time()
        async with sink(program("clock_sink", f"{rtmp}/{KEY}")) as after:
            await eventually(lambda: len(after.ages) > 0, 30, "no pictures arrive after it was away")
            print(f"\npictures {asyncio.get_running_loop().time() - began:.1f} s after the server came back")
            await eventually(lambda: len(after.ages) > SETTLED, 60, "pictures stopped")
            assert after.missing == 0
            assert median(after.ages[SETTLED // 2 :]) <= RTMP_MS
