"""A call during server failures: two of our clients on a node, and the longest time without media."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from parley_client import Api, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.call import received, send


@dataclass(slots=True)
class Silence:
    """The longest gaps between new frames in seconds (`of_pictures`: the camera's); `frames` is the number received."""

    of_sound: float = 0.0
    of_pictures: float = 0.0
    frames: int = 0


@contextlib.asynccontextmanager
async def watched_call(base: str, signaling_url: str) -> AsyncIterator[Silence]:
    """Hold a call at the node that `signaling_url` names, in a meeting of the control at `base`.

    Raises AssertionError at the end if somebody is no longer in it.
    """
    silence = Silence()
    async with Api(base) as host, Api(base) as guest:
        await host.register("host-of-the-call", "correct horse battery staple")
        meeting = await host.create_meeting("On the way")
        first, second = await host.join(meeting, "Ada"), await guest.join(meeting, "Grace")
        async with Room(signaling_url, token=first.token) as speaker, Room(signaling_url, token=second.token) as other:
            camera, microphone = await speaker.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            sending = asyncio.create_task(send(camera, microphone))
            try:
                await received(other, {"audio": 20, "video": 5}, 30)
                present = len(speaker.state.participants), len(other.state.participants)
                watching = asyncio.create_task(_watch(other, silence))
                try:
                    yield silence
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                assert (len(speaker.state.participants), len(other.state.participants)) == present
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


async def _watch(room: Room, silence: Silence) -> None:
    counts = {"audio": 0, "video": 0}
    since = dict.fromkeys(counts, time.monotonic())
    while True:
        now = time.monotonic()
        for kind, before in counts.items():
            count = sum(one.frame_count for one in room.receiver.streams.values() if one.kind == kind)
            if count != before:
                silence.frames += count - before
                counts[kind], since[kind] = count, now
        silence.of_sound = max(silence.of_sound, now - since["audio"])
        silence.of_pictures = max(silence.of_pictures, now - since["video"])
        await asyncio.sleep(0.02)
