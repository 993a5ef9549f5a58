"""Writes a finished file with duration, seek index and the original gaps: WebM, or MP4 for H264.

Browsers play H264 from MP4 but not from Matroska. PyAV muxes; nothing is decoded.
"""

import hashlib
import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import av

from objects.sealed_file import PLAIN, Files
from recorder import containers
from sfu.formats.codecs import Codec

_MATROSKA_CLOCK = 1000
_MP4_CLOCK = 90_000
_HASH_BYTES = 1 << 20


class FinishedFile(NamedTuple):
    """`duration_ns` runs from the first frame to the end of the last."""

    path: Path
    frames: int
    duration_ns: int
    bytes: int
    sha256: str


def finished_suffix(codec: Codec) -> str:
    """Return the suffix of a finished file of this codec."""
    return ".mp4" if codec is Codec.H264 else ".webm"


class FinishedWriter:
    """Muxes frames of one codec into `path`, which appears only when it is complete and on disk.

    `template` is a captured segment that provides the codec parameters. Raises OSError and av.FFmpegError.
    """

    def __init__(
        self,
        path: Path,
        codec: Codec,
        template: Path,
        size: tuple[int, int],
        channels: int,
        *,
        files: Files = PLAIN,
    ) -> None:
        self._files = files
        self._path = path
        self._temporary = path.with_name(f"{path.name}.part")
        is_mp4 = codec is Codec.H264
        self._clock = _MP4_CLOCK if is_mp4 else _MATROSKA_CLOCK
        options = {"movflags": "+faststart"} if is_mp4 else {}
        with ExitStack() as opened:
            form = "mp4" if is_mp4 else "webm"
            self._container = opened.enter_context(containers.writing(files, self._temporary, form, options))
            self._stream = self._add_stream(codec, template, size, channels)
            self._open = opened.pop_all()
        self._held: av.Packet[Any] | None = None
        self._step = self._clock // 50
        self._frames = 0
        self._last_pts = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._open.close()
        if error is not None:
            self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes, position_ns: int, keyframe: bool) -> None:
        """Add a frame at `position_ns` since the file's start, moved after the last one if it is not later."""
        pts = max(position_ns * self._clock // 1_000_000_000, self._last_pts + 1)
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._clock)
        packet.pts = packet.dts = pts
        packet.is_keyframe = keyframe
        if self._held is not None:
            self._step = pts - self._last_pts
            self._mux(self._step)
        self._held, self._last_pts = packet, pts

    def finish(self) -> FinishedFile:
        """Write the rest, sync it to disk, and rename the file. The last frame lasts as long as the one before it."""
        step = min(self._step, self._clock)
        self._mux(step)
        self._open.close()
        with self._temporary.open("rb") as stored:
            os.fsync(stored.fileno())
        with self._files.open(self._temporary) as file:
            digest = hashlib.sha256()
            while chunk := file.read(_HASH_BYTES):
                digest.update(chunk)
            size = file.tell()
        self._temporary.replace(self._path)
        duration = (self._last_pts + step) * 1_000_000_000 // self._clock
        return FinishedFile(self._path, self._frames, duration, size, digest.hexdigest())

    def _mux(self, duration: int) -> None:
        if self._held is None:
            return
        self._held.duration = duration
        self._container.mux_one(self._held)
        self._frames += 1
        self._held = None

    def _add_stream(self, codec: Codec, template: Path, size: tuple[int, int], channels: int) -> Any:
        if codec is Codec.OPUS:  # created with an encoder: only then is OpusHead written
            return self._container.add_stream("libopus", rate=48000, layout="stereo" if channels == 2 else "mono")
        if codec in (Codec.VP8, Codec.VP9):
            return self._container.add_mux_stream(codec.name.lower(), width=size[0], height=size[1])
        with containers.reading(self._files, template) as source:
            stream = self._container.add_stream_from_template(source.streams.video[0], opaque=True)
            stream.time_base = Fraction(1, self._clock)
            return stream
