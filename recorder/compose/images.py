"""The images of one video track, by time.

Images are decoded one after another; if there is a keyframe before the requested time, decoding continues there. One
image is held at a time, and one file is open.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import av

from objects.sealed_file import PLAIN, Files
from recorder import containers
from recorder.manifest import ManifestFile, ManifestTrack

LEAD_MS = 2000
"""The time for which a camera's first image is shown before it was taken: sound often comes first."""
GAP_MS = 2000
"""The time without an image after which the connection counts as interrupted."""
_HOLD_MS = 500
"""The time for which the last image before a gap stays visible."""
_FAR_MS = 1000
"""The distance below which continuing to decode is faster than a seek."""
_EARLY_MS = 100
"""A tolerance: files have times in ms and mutes have another source, so an image may be slightly too early."""
_SAMPLED = 900
"""The number of images from which a file's rate is computed."""
DECODERS = {"vp8": "vp8", "vp9": "libvpx-vp9", "h264": "h264", "av1": "libdav1d"}
"""Decoders: FFmpeg's VP8 decoder is a tenth faster than libvpx; its VP9 decoder reads only the lowest spatial layer."""


class Decoded(NamedTuple):
    """An image and its start, in ms of the recording."""

    ms: float
    image: av.VideoFrame


class Shown(NamedTuple):
    """The state of a track at an instant: an image, or none, perhaps because the connection `is_interrupted`."""

    image: Decoded | None = None
    is_interrupted: bool = False


def frame_rate(root: Path, file: ManifestFile, files: Files = PLAIN) -> float:
    """Return a file's frames per second without gaps and mutes; 0 for none."""
    with containers.reading(files, root / file.key) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        packets = (packet.pts for packet in container.demux(stream) if packet.pts is not None)
        times = sorted(islice(packets, _SAMPLED))
        unit = float(stream.time_base)
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    return 1 / (steps[len(steps) // 2] * unit) if steps and steps[len(steps) // 2] else 0.0


class Images:
    """`at` must be called with ascending times. Use `close` at the end."""

    def __init__(self, root: Path, track: ManifestTrack, files: Files = PLAIN) -> None:
        self._root = root
        self._access = files
        self._files = sorted(track.files, key=lambda file: file.start_ms)
        self._may_rest = track.source != "camera"  # an unchanged screen sends few images
        self._open: _File | None = None
        self._current: Decoded | None = None
        self._next: Decoded | None = None

    def at(self, ms: float, since: float = 0) -> Shown:
        """Return the state at an instant; images from before `since` are not shown.

        The first image is shown shortly before its time.
        """
        self._go_to(ms)
        while self._next is not None and self._next.ms <= ms:
            assert self._open is not None
            self._current, self._next = self._next, self._open.next()
        if self._current is None and self._next is not None and self._next.ms - ms <= LEAD_MS:
            return Shown(self._next)
        if self._current is None or self._current.ms < since - _EARLY_MS:
            return Shown()
        if self._next is not None and not self._may_rest and self._next.ms - self._current.ms >= GAP_MS:
            return Shown(self._current, ms - self._current.ms >= _HOLD_MS)
        return Shown(self._current)

    def follow(self, track: ManifestTrack) -> None:
        """Continue with the same track, which has more files now."""
        self._files = sorted(track.files, key=lambda file: file.start_ms)

    def close(self) -> None:
        """Close the open file; the next call of `at` opens it again."""
        if self._open is not None:
            self._open.close()
        self._open = self._next = None

    def _go_to(self, ms: float) -> None:
        """Open the file that contains an instant, and seek near it without decoding if possible."""
        if ms < self._files[0].start_ms - LEAD_MS:
            return
        file = next((file for file in reversed(self._files) if file.start_ms <= ms), self._files[0])
        if self._open is None or self._open.file != file:
            self.close()
            self._open = _File(self._root, file, self._access)
            self._open.seek(ms)
            self._next = self._open.next()
        elif self._next is not None and ms - self._next.ms > _FAR_MS and self._open.seek(ms):
            self._next = self._open.next()


class _File:
    """An open file."""

    def __init__(self, root: Path, file: ManifestFile, files: Files) -> None:
        self.file = file
        self._open = ExitStack()
        self._container = self._open.enter_context(containers.reading(files, root / file.key))
        self._stream = self._container.streams.video[0]
        assert self._stream.time_base is not None
        self._unit_ms = float(self._stream.time_base) * 1000
        self._decoder = self._new_decoder()
        self._container.seek(0, stream=self._stream)  # the first seek reads WebM's index
        self._read = -1
        self._coming = self._images()

    def next(self) -> Decoded | None:
        """Return the next image, None at the end; undecodable ones are skipped."""
        return next(self._coming, None)

    def seek(self, ms: float) -> bool:
        """Continue at the last keyframe before an instant; if that would go back, do nothing and return False."""
        target = int((ms - self.file.start_ms) / self._unit_ms)
        index = self._stream.index_entries.search_timestamp(target, backward=True)
        if index < 0 or (at := self._stream.index_entries[index].timestamp) <= self._read:
            return False
        self._container.seek(at, stream=self._stream, backward=True)
        self._decoder = self._new_decoder()
        self._coming = self._images()
        return True

    def close(self) -> None:
        self._open.close()

    def _images(self) -> Iterator[Decoded]:
        for packet in self._container.demux(self._stream):
            if packet.pts is not None:
                self._read = packet.pts
            try:
                decoded = self._decoder.decode(packet if packet.size else None)
            except (av.FFmpegError, EOFError):
                continue
            for image in decoded:
                if image.pts is not None:
                    yield Decoded(self.file.start_ms + image.pts * self._unit_ms, image)

    def _new_decoder(self) -> av.VideoCodecContext:
        context = self._stream.codec_context
        decoder = av.VideoCodecContext.create(DECODERS.get(self.file.codec, context.name), "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = context.extradata
        decoder.thread_count = 1
        return decoder
