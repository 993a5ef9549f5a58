"""A Chromium that reads prompts into a meeting by its microphone, and a client of ours that collects the captions."""

import asyncio
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parley_client import Api, Room
from tests.inference.material import RATE, Prompt, silence
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page
from tests.support.server import RunningServer

LEAD_SECONDS = 12
"""Silence at the start of the microphone's file, which already plays in the preview, before the meeting is joined."""
_GAP_SECONDS = 1.2


def write_speech(path: Path, spoken: Sequence[Prompt]) -> float:
    """Write a microphone's sound as WAV; return its duration in seconds."""
    sound = [silence(LEAD_SECONDS)]
    for one in spoken:
        sound += [one.samples, silence(_GAP_SECONDS)]
    samples = np.concatenate([*sound, silence(5)])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return len(samples) / RATE


async def _settled(room: Room) -> None:
    """Wait until no final has arrived for a while."""
    async with asyncio.timeout(120):
        count = -1
        while count != (count := sum(one.final for one in room.state.captions)):
            await asyncio.sleep(6)


async def captions_of(server: RunningServer, admin: Api, spoken: Sequence[Prompt]) -> str:
    """Return the final captions of prompts, spoken one after another in a real call, as one text."""
    meeting = await admin.create_meeting("Read aloud")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "speech.wav"
        seconds = write_speech(file, spoken)
        flags = [LOOPBACK_FLAG, f"--use-file-for-fake-audio-capture={file}%noloop"]
        async with Api(server.url) as guest:
            joined = await guest.join(meeting, "Listener")
        async with (
            Room(guest.signaling_url(joined), token=joined.token) as room,
            chromium(flags=flags, small_camera=True) as browser,
        ):
            page = await open_page(browser, f"{server.url}/m/{meeting}")
            await page.get_by_label("Your name").fill("Reader")
            await page.get_by_label("I agree to captions of what I say").check()
            await page.locator("#join:not([disabled])").click()
            await page.locator(".tile").first.wait_for()
            await asyncio.sleep(seconds)
            await _settled(room)
            return " ".join(one.text for one in room.state.captions if one.final)
