"""A call between two of our clients: one sends sound and pictures until the other has received them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from parley_client import Api, ApiError, Publication, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.encoders import encode

PASSWORD = "correct horse battery staple"
SILENCE = b"\xfc\xff\xfe"  # an Opus packet of 20 ms (RFC 6716, section 3.1)


async def become_admin(api: Api, setup_token: str) -> None:
    """Create the first administrator; a repeated test signs in as the one created before."""
    try:
        await api.set_up(setup_token, "admin", PASSWORD)
    except ApiError as error:
        if error.code != "setup_token":
            raise
        await api.login("admin", PASSWORD)


@asynccontextmanager
async def call(api: Api, meeting: str, *, verify_tls: bool = True) -> AsyncIterator[tuple[Room, Room]]:
    """Yield two rooms, (speaker, listener), once the listener has sound and pictures; the speaker keeps sending."""
    first = await api.join(meeting, "Ada")
    async with Api(api.base, verify_tls=verify_tls) as guest:
        second = await guest.join(meeting, "Grace")
    async with (
        Room(api.signaling_url(first), token=first.token, verify_tls=verify_tls) as speaker,
        Room(api.signaling_url(second), token=second.token, verify_tls=verify_tls) as listener,
    ):
        camera, microphone = await speaker.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
        sending = asyncio.create_task(send(camera, microphone))
        try:
            await received(listener, {"audio": 20, "video": 5})
            yield speaker, listener
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def send(camera: Publication, microphone: Publication, pictures: Sequence[tuple[bytes, bool]] = ()) -> None:
    """Send sound and encoded pictures, in a loop from each keyframe that is asked for, until cancelled."""
    frames = pictures or encode(Codec.VP8)
    position = answered = 0
    for number in range(1_000_000):
        microphone.send_frame(b"\x78" + bytes(80), number * 960, keyframe=True)
        if number % 2 == 0:
            if camera.keyframe_requests > answered:
                answered, position = camera.keyframe_requests, 0
            data, keyframe = frames[position % len(frames)]
            camera.send_frame(data, number * 1800, keyframe=keyframe)
            position += 1
        await asyncio.sleep(0.02)


async def received(listener: Room, wanted: dict[str, int], seconds: float = 30) -> None:
    """Wait until the listener has this many frames of a stream of each kind."""
    deadline = time.monotonic() + seconds
    while True:
        counts = dict.fromkeys(wanted, 0)
        for stream in listener.receiver.streams.values():
            counts[stream.kind] = max(counts.get(stream.kind, 0), stream.frame_count)
        if all(counts[kind] >= count for kind, count in wanted.items()):
            return
        assert time.monotonic() < deadline, f"received {counts}, wanted {wanted}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def speaking(room: Room) -> AsyncIterator[Publication]:
    """Publish a microphone in a room and send silence."""
    (microphone,) = await room.publish((Source.MICROPHONE, Codec.OPUS))

    async def speak() -> None:
        for number in range(100_000):
            microphone.send_frame(SILENCE, number * 960)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(speak())
    try:
        yield microphone
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
