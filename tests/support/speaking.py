"""A microphone that sends the same samples again and again."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import av
import numpy as np

from parley_client import Publication
from parley_client.media import AudioSender

_RATE = 48_000
_SAMPLES = 960


@asynccontextmanager
async def speaking(microphone: Publication, samples: np.ndarray[Any, Any]) -> AsyncIterator[None]:
    """Send samples (int16, 48 kHz, mono) in frames of 20 ms; what is less than a frame at their end is left out."""
    frames = samples[: len(samples) // _SAMPLES * _SAMPLES].reshape(-1, 1, _SAMPLES)

    async def send() -> None:
        sender, loop = AudioSender(microphone), asyncio.get_running_loop()
        due = loop.time()
        for frame in itertools.cycle(frames):
            sound = av.AudioFrame.from_ndarray(frame, format="s16", layout="mono")
            sound.sample_rate = _RATE
            sender.send(sound)
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
