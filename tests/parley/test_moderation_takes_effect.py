"""What a host asks of control by REST takes effect in the live room within a second, through the whole server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parley.client import Api, Publication, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.call import become_admin
from tests.support.server import running_server

SECONDS = 1.0
SILENCE = b"\xfc\xff\xfe"  # an Opus packet of 20 ms (RFC 6716, section 3.1)


@asynccontextmanager
async def speaking(room: Room) -> AsyncIterator[Publication]:
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


async def test_mute_a_lost_role_and_removal() -> None:
    with running_server() as server:
        async with Api(server.url) as host, Api(server.url) as guest:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Moderated")
            people = f"/meetings/{meeting}/participants"
            first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
            async with (
                Room(host.signaling_url(first), token=first.token) as watcher,
                Room(guest.signaling_url(second), token=second.token) as speaker,
                speaking(speaker) as microphone,
            ):
                track = microphone.track
                await watcher.until(lambda: track in watcher.state.tracks)

                asked = time.monotonic()
                await host.request("POST", f"{people}/{second.participant}/mute", {"muted": ["microphone"]})
                await watcher.until(lambda: watcher.state.tracks[track].muted)
                assert time.monotonic() - asked < SECONDS

                asked = time.monotonic()
                await host.request("PUT", f"{people}/{second.participant}/role", {"role": "viewer"})
                await watcher.until(lambda: track not in watcher.state.tracks)
                assert time.monotonic() - asked < SECONDS

                asked = time.monotonic()
                await host.request("POST", f"{people}/{second.participant}/remove", {})
                await watcher.until(lambda: second.participant not in watcher.state.participants)
                assert time.monotonic() - asked < SECONDS
