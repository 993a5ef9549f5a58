"""The images of one video track, by time. One image is held at a time, a file is open only while it plays."""

from collections.abc import Generator
from pathlib import Path

import av

from recorder.manifest import ManifestFile, ManifestTrack

_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "h264": "h264", "av1": "libdav1d"}
"""FFmpeg's own VP9 decoder reads only the lowest spatial layer."""


class Images:
    """`at` must be called with times that do not go back."""

    def __init__(self, root: Path, track: ManifestTrack) -> None:
        self._coming = _decoded(root, sorted(track.files, key=lambda file: file.start_ms))
        self._current: tuple[float, av.VideoFrame] | None = None
        self._next = next(self._coming, None)

    def at(self, ms: float) -> tuple[av.VideoFrame | None, bool]:
        """Return the latest image at an instant, and whether it is another one than before."""
        is_new = False
        while self._next is not None and self._next[0] <= ms:
            self._current, self._next = self._next, next(self._coming, None)
            is_new = True
        return (None if self._current is None else self._current[1]), is_new

    def close(self) -> None:
        """Close what is open."""
        self._coming.close()


def _decoded(root: Path, files: list[ManifestFile]) -> Generator[tuple[float, av.VideoFrame], None, None]:
    """Yield (ms, image); what cannot be decoded is left out."""
    for file in files:
        with av.open(root / file.key, options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            decoder = av.VideoCodecContext.create(_DECODERS.get(file.codec, stream.codec_context.name), "r")
            assert isinstance(decoder, av.VideoCodecContext)
            decoder.extradata = stream.codec_context.extradata
            decoder.thread_count = 1
            for packet in container.demux(stream):
                try:
                    decoded = decoder.decode(packet if packet.size else None)
                except (av.FFmpegError, EOFError):
                    continue
                for image in decoded:
                    if image.pts is not None and stream.time_base is not None:
                        yield file.start_ms + float(image.pts * stream.time_base) * 1000, image
