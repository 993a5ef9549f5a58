"""Avatars and thumbnails, made by sandboxed processes: uploads are never decoded in this one.

Each process makes one picture and exits, so nothing leaks from one upload to the next (control.files.image_worker,
video_worker).
"""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

from prometheus_client import Counter

from foundation import worker_process

_JPEG = b"\xff\xd8"
_AT_ONCE = 2
_SECONDS = 60.0
_MOST_BYTES = 4 << 20
_PICTURES = Counter("parley_control_pictures_total", "Avatars and thumbnails", ["outcome"])


class Images:
    """Maker of pictures, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def avatar(self, data: bytes) -> bytes:
        """Return a square JPEG; raises ValueError if the image's format is unknown or it is too large."""
        with tempfile.TemporaryFile() as file:
            await asyncio.to_thread(file.write, data)
            file.seek(0)
            return await self._make(file.fileno(), "control.files.image_worker", "avatar")

    async def thumbnail(self, path: Path, content_type: str) -> bytes | None:
        """Return a JPEG of an image or of a video's first frame; None for other files."""
        video = content_type.startswith("video/")
        worker = ["control.files.video_worker"] if video else ["control.files.image_worker", "image"]
        try:
            with path.open("rb") as file:
                return await self._make(file.fileno(), *worker)
        except ValueError:
            return None

    async def _make(self, descriptor: int, *worker: str) -> bytes:
        try:
            async with asyncio.timeout(_SECONDS), self._turns:
                said = await _ask(descriptor, *worker)
        except TimeoutError as error:
            _PICTURES.labels("late").inc()
            raise ValueError("the picture takes too long to process") from error
        if said.startswith(_JPEG):
            _PICTURES.labels("made").inc()
            return said
        _PICTURES.labels("refused" if said else "ended").inc()
        raise ValueError(said.decode("utf-8", "replace") or "the picture cannot be read")


async def _ask(descriptor: int, *worker: str) -> bytes:
    """Return the worker's result: a picture, the reason for a failure, or nothing if it was killed."""
    process, channel = await worker_process.start(*worker, str(descriptor), descriptors=(descriptor,))
    try:
        return await _read(channel)
    finally:
        channel.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(channel: socket.socket) -> bytes:
    channel.setblocking(False)
    loop, said = asyncio.get_running_loop(), b""
    while len(said) < _MOST_BYTES and (data := await loop.sock_recv(channel, 1 << 16)):
        said += data
    return said
