"""Publishes a tone and a moving picture: `python tone_bot.py SERVER MEETING [SECONDS]`."""

import asyncio
import os
import sys

import av
import numpy as np

from parley_client import Api, Room
from parley_client.bots import enter
from parley_client.media import AudioSender, VideoSender

RATE, SAMPLES = 48_000, 480  # 10 ms


def tone(position: int) -> av.AudioFrame:
    """Return 10 ms of a tone of 440 Hz."""
    wave = np.sin(2 * np.pi * 440 * np.arange(position, position + SAMPLES) / RATE)
    frame = av.AudioFrame.from_ndarray((wave * 8000).astype(np.int16)[np.newaxis], "s16", "mono")
    frame.sample_rate = RATE
    return frame


def picture(number: int) -> av.VideoFrame:
    """Return a picture with a bar that moves."""
    pixels = np.full((180, 320, 3), 32, np.uint8)
    pixels[:, number * 8 % 320 :][:, :40] = (255, 160, 0)
    return av.VideoFrame.from_ndarray(pixels, "rgb24")


async def play(room: Room, seconds: float) -> None:
    """Publish in real time."""
    microphone, camera = await room.publish(("microphone", "opus"), ("camera", "VP8"))
    sound, pictures = AudioSender(microphone), VideoSender(camera, frames_per_second=15)
    clock = asyncio.get_running_loop()
    begun = clock.time()
    for number in range(int(seconds * 100)):
        sound.send(tone(number * SAMPLES))
        if number % 7 == 0:
            pictures.send(picture(number // 7))
        await asyncio.sleep(max(0.0, begun + (number + 1) / 100 - clock.time()))


async def main(server: str, key: str, meeting: str, seconds: float = 60.0) -> None:
    async with Api(server, bearer=key) as api, await enter(api, meeting, "tone-bot", "Tone") as room:
        await play(room, seconds)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], *map(float, sys.argv[3:4])))
