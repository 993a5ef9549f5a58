"""A room of a hundred in a browser that shows 25: few m-sections, and no negotiation when pages or speakers change."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Page

from parley_client import Publication, Room
from sfu.api.join_token import Grants, Source
from sfu.formats.codecs import Codec
from sfu.formats.header_extensions import AudioLevel
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.encoders import encode

PARTICIPANTS = 100
VISIBLE = 25
SPEAKERS = 12
MAX_SECTIONS = 60
OPUS_FRAME = b"\x78" + bytes(80)
SHOW_PAGE = """
((page) => {
  const cameras = [...sdkPage.room.roster.tracks.values()].filter((track) => track.media === 'video');
  cameras.forEach((track, number) => sdkPage.room.subscribe(track.id, Math.floor(number / 25) === page
    ? {on: true, width: 320, height: 180} : {on: false, width: 0, height: 0}));
  return cameras.length;
})
"""
SHOWN = """
[...sdkPage.room.roster.tracks.values()].filter((track) => track.mediaTrack && track.media === 'KIND')
  .map((track) => track.participant)
"""
DESCRIPTION = "sdkPage.room.peers.subscribe.currentRemoteDescription.sdp"


async def _speak(microphones: list[Publication], loud: set[int]) -> None:
    """Send sound of everyone; only some of it is loud."""
    for number in range(1_000_000):
        for index, microphone in enumerate(microphones):
            is_loud = index in loud
            microphone.send_frame(OPUS_FRAME, number * 960, level=AudioLevel(10 if is_loud else 120, is_loud))
        await asyncio.sleep(0.02)


async def _film(cameras: list[Publication]) -> None:
    frames = encode(Codec.VP8)
    for number in range(1_000_000):
        for camera in cameras:
            data, keyframe = frames[number % len(frames)]
            camera.send_frame(data, number * 9000, keyframe=keyframe)
        await asyncio.sleep(0.1)


async def _fill(stack: AsyncExitStack, h: Host) -> tuple[list[Publication], list[Publication]]:
    """Everyone but the viewer joins, with a camera each; returns the microphones of the speakers and the cameras."""
    microphones, cameras = [], []
    for number in range(PARTICIPANTS - 1):
        token = h.control.token("r", f"p{number:02}", grants=Grants(subscribe=False))
        room = await stack.enter_async_context(Room(h.signaling_url, token=token))
        tracks = [(Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS)]
        camera, *sound = await room.publish(*tracks[: 2 if number < SPEAKERS else 1])
        cameras.append(camera)
        microphones += sound
    return microphones, cameras


async def _until_shown(page: Page, kind: str, wanted: set[str]) -> None:
    async with asyncio.timeout(30):
        while not wanted <= set(await page.evaluate(SHOWN.replace("KIND", kind))):
            await asyncio.sleep(0.1)


async def test_pages_and_speakers_change_without_negotiation(tmp_path: Path) -> None:
    async with host(tmp_path) as h, AsyncExitStack() as stack:
        microphones, cameras = await _fill(stack, h)
        loud = {0, 1}
        async with asyncio.TaskGroup() as sending:
            tasks = [sending.create_task(_speak(microphones, loud)), sending.create_task(_film(cameras[::10]))]
            async with sdk_page.sdk_site() as site, chromium(flags=[LOOPBACK_FLAG]) as browser:
                page = await browser.browser.new_page()
                await page.goto(site)
                await sdk_page.join_node(page, h.signaling_url, h.control.token("r", "viewer"))
                assert await page.evaluate(f"{SHOW_PAGE}(0)") == PARTICIPANTS - 1
                await _until_shown(page, "video", {f"p{number:02}" for number in range(VISIBLE)})
                await _until_shown(page, "audio", {"p00", "p01"})
                await asyncio.sleep(0.5)  # an offer that is on its way would be coalesced for 100 ms
                before = await page.evaluate(DESCRIPTION)
                loud ^= {0, 1, 10, 11}
                await page.evaluate(f"{SHOW_PAGE}(2)")
                await _until_shown(page, "video", {f"p{number}" for number in range(50, 75)})
                await _until_shown(page, "audio", {"p10", "p11"})
                shown = await page.evaluate(SHOWN.replace("KIND", "video"))
                assert await page.evaluate(DESCRIPTION) == before
                sections = before.count("\r\nm=")
                print(f"{sections} m-sections for {len(shown)} pictures of {PARTICIPANTS} participants")
                assert len(shown) == VISIBLE
                assert sections <= MAX_SECTIONS
            for task in tasks:
                task.cancel()
