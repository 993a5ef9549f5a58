"""LiveKit's own client: its Python SDK, publishing a tone and a picture, and recording what it receives."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import numpy as np
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc.participant import PublishDataError

KEY, SECRET = "testkey", "a secret that is long enough for every hash that a test may try"
KEYS = f"{KEY}: {SECRET}"
_RATE, _SIZE = 48_000, (640, 360)


def access_token(identity: str, room: str, *, key: str = KEY, secret: str = SECRET, **claims: Any) -> str:
    """Return a token like an application's. `claims` are added; its `video` is added to the grants."""
    now = int(time.time())
    video = {"roomJoin": True, "room": room} | claims.pop("video", {})
    payload = {"iss": key, "sub": identity, "nbf": now - 5, "exp": now + 600, "name": identity.title(), "video": video}
    return jwt.encode(payload | claims, secret, algorithm="HS256")


class LiveKitClient:
    """A participant; `heard` is the loudest sample of each track, `seen` the pictures and `data` the packets."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.heard: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.data: list[tuple[str, bytes, str]] = []
        self.events: list[tuple[str, Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("data_received", self._received)
        for name in ("track_muted", "disconnected", "participant_connected", "participant_disconnected"):
            self.room.on(name, lambda *rest, name=name: self.events.append((name, rest[0])))

    def _subscribed(self, track: Any, publication: Any, _: Any) -> None:
        self._tasks.append(asyncio.create_task(self._follow(track, publication.sid)))

    async def _follow(self, track: Any, sid: str) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            async for event in rtc.AudioStream(track):
                loudest = int(np.abs(np.frombuffer(event.frame.data, dtype=np.int16)).max())
                self.heard[sid] = max(self.heard.get(sid, 0), loudest)
        else:
            async for _ in rtc.VideoStream(track):
                self.seen[sid] = self.seen.get(sid, 0) + 1

    def follow(self, data_track: Any, frames: list[bytes]) -> None:
        """Subscribe to a data track, and note its frames."""

        async def note() -> None:
            async for frame in data_track.subscribe():
                frames.append(frame.payload)

        self._tasks.append(asyncio.create_task(note()))

    def _received(self, packet: Any) -> None:
        who = packet.participant.identity if packet.participant else ""
        self.data.append((who, packet.data, packet.topic))

    async def publish(self) -> None:
        """Publish a tone as the microphone and a moving picture as the camera, until the end."""
        sound, picture = rtc.AudioSource(_RATE, 1), rtc.VideoSource(*_SIZE)
        microphone = rtc.LocalAudioTrack.create_audio_track("tone", sound)
        camera = rtc.LocalVideoTrack.create_video_track("picture", picture)
        sources = rtc.TrackSource
        me = self.room.local_participant
        await me.publish_track(microphone, rtc.TrackPublishOptions(source=sources.SOURCE_MICROPHONE))
        await me.publish_track(camera, rtc.TrackPublishOptions(source=sources.SOURCE_CAMERA))
        self._tasks += [asyncio.create_task(_sing(sound)), asyncio.create_task(_show(picture))]

    async def connect_for_data(self) -> None:
        """Send data to nobody: the SDK connects what it sends by no sooner.

        That takes longer than some requests may, as this process has a network for each server that is tested beside
        its own, and ICE tries all of their addresses.
        """
        for left in reversed(range(3)):
            try:
                await self.room.local_participant.publish_data(b"", destination_identities=["nobody"])
                return
            except PublishDataError:
                if not left:
                    raise

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()


async def _sing(source: Any) -> None:
    samples = (np.sin(2 * np.pi * 440 * np.arange(480) / _RATE) * 12_000).astype(np.int16).tobytes()
    while True:
        await source.capture_frame(rtc.AudioFrame(samples, _RATE, 1, 480))


async def _show(source: Any) -> None:
    number = 0
    while True:
        number += 1
        shade = bytes([number * 8 % 256]) * (_SIZE[0] * _SIZE[1] * 4)
        source.capture_frame(rtc.VideoFrame(*_SIZE, rtc.VideoBufferType.RGBA, shade))
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def livekit_library() -> Iterator[None]:
    """Let the SDK's threads end before the interpreter, since a later callback would abort the process."""
    yield
    client = FfiClient._instance
    if client is not None:
        client._dispose()
        FfiClient._instance = None


@contextlib.asynccontextmanager
async def livekit_client(url: str, token: str, *, one_peer: bool = False) -> AsyncIterator[LiveKitClient]:
    """Connect to a server, at a URL of ws or http, with one or two peer connections, and leave at the end."""
    client = LiveKitClient()
    await client.room.connect(url, token, rtc.RoomOptions(single_peer_connection=one_peer))
    try:
        yield client
    finally:
        await client.close()
