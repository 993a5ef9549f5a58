"""Our client in its own process, at the far end of an emulated link: `python -m tests.support.far_client`.

Ten times a second, it prints a line of JSON with the media received so far, by kind. It may publish camera and
microphone too.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from parley_client import Room
from parley_client.client_peer import Received
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.support.call import send

_PUBLISHES = "--publish"
_INTERVAL = 0.1
_PATIENCE = 0.3
_IN_TIME = 0.4  # delay behind the fastest picture at which a conversation is no longer possible (ITU-T G.114)


class _Watching(Room):
    """Record of the times at which pictures were complete, and of their heights."""

    bytes = 0
    pictures = 0
    in_time = 0
    height = 0
    longest = 0.0
    last = 0.0
    quickest = float("inf")

    def _on_subscribe_packet(self, received: Received, now: int) -> None:
        super()._on_subscribe_packet(received, now)
        self.bytes += len(received.data) * (not received.rtcp)
        for stream in self.receiver.streams.values():
            for frame in stream.frames:
                if stream.kind == "video" and frame.intact:
                    self._picture(frame.data, frame.keyframe, frame.timestamp / 90_000)
            stream.frames.clear()

    def _picture(self, data: bytes, keyframe: bool, taken: float) -> None:
        now = time.monotonic()
        if self.last:
            self.longest = max(self.longest, now - self.last)
        self.last = now
        self.pictures += 1
        self.quickest = min(self.quickest, now - taken)
        self.in_time += now - taken - self.quickest <= _IN_TIME
        if keyframe and len(data) >= 10:  # RFC 6386, section 9.1
            self.height = int.from_bytes(data[8:10], "little") & 0x3FFF

    def ask(self) -> None:
        """Request a keyframe, like a browser that has decoded nothing new for a while."""
        if self._subscribe is None or not self.last or time.monotonic() - self.last < _PATIENCE:
            return
        for mid, stream in self.receiver.streams.items():
            if stream.kind == "video" and stream.packets:
                self._subscribe.send(self.receiver.picture_loss(mid))

    def row(self) -> dict[str, Any]:
        longest, self.longest = max(self.longest, time.monotonic() - self.last if self.last else 0.0), 0.0
        sound = [stream.packets for stream in self.receiver.streams.values() if stream.kind == "audio"]
        videos = [stream for stream in self.receiver.streams.values() if stream.kind == "video"]
        return {
            "at": time.monotonic(),
            "packets": sum(stream.packets for stream in videos),
            "repaired": sum(stream.repaired for stream in videos),
            "frames": sum(stream.frame_count for stream in videos),
            "keyframes": sum(stream.keyframe_count for stream in videos),
            "bytes": self.bytes,
            "pictures": self.pictures,
            "in_time": self.in_time,
            "height": self.height,
            "longest": longest,
            "sound": max(sound, default=0),
        }


async def _watch(url: str, token: str, *options: str) -> None:
    async with _Watching(url, token=token, keep_frames=True, verify_tls=False) as room, asyncio.TaskGroup() as sending:
        if _PUBLISHES in options:
            camera, microphone = await room.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            sending.create_task(send(camera, microphone))
        while True:
            await asyncio.sleep(_INTERVAL)
            room.ask()
            print(json.dumps(room.row()), flush=True)


@contextlib.asynccontextmanager
async def far_client(
    prefix: list[str], url: str, token: str, *, publishes: bool = False
) -> AsyncIterator[list[dict[str, Any]]]:
    """Run a client behind a link and yield its lines so far. Its priority is high, as if on another machine."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        "nice",
        "-n",
        "-15",
        sys.executable,
        "-m",
        "tests.support.far_client",
        url,
        token,
        *([_PUBLISHES] if publishes else []),
        stdout=asyncio.subprocess.PIPE,
    )
    rows: list[dict[str, Any]] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            rows.append(json.loads(line))

    reading = asyncio.create_task(read())
    try:
        yield rows
    finally:
        process.kill()
        await process.wait()
        await reading


if __name__ == "__main__":
    asyncio.run(_watch(*sys.argv[1:]))
