"""WHIP and WHEP: FFmpeg publishes, a browser in the room sees it; refusals; the end of a session."""

import asyncio
import sys
from pathlib import Path

from tests.sfu.server.harness import eventually
from tests.sfu.server.test_call_chromium import join, stage, until_received


async def test_ffmpeg_publishes_and_a_browser_sees_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann = await join(browser, url, h, "ann")
        token = h.control.token("r", "camera-car")
        publisher = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("ffmpeg_whip.py")), f"{h.http}/whip", token, "8"
        )
        await eventually(lambda: len(h.node.rooms["r"].uptracks) == 2, 10)
        tracks = {u.source.value: t for t, u in h.node.rooms["r"].uptracks.items()}
        await until_received(ann, tracks["camera"], "frames", 30)
        await until_received(ann, tracks["microphone"], "packets", 50)
        bob = await join(browser, url, h, "bob")
        await until_received(bob, tracks["camera"], "frames", 5)
        assert await publisher.wait() == 0
        await eventually(lambda: not h.node.rooms["r"].uptracks, 40)
