"""The sound of all audio tracks together, in windows. Gaps and mutes are silence; what is too loud is bent, not cut."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from recorder.manifest import ManifestFile, ManifestTrack

RATE = 48_000
_SLACK = RATE // 100
"""Files tell times in ms: a frame is placed anew only where it would be off by more than 10 ms."""

Samples = npt.NDArray[np.float32]


class Mixer:
    """`window` must be called for one window after another."""

    def __init__(self, root: Path, tracks: Sequence[ManifestTrack]) -> None:
        self._tracks = [_Track(root, track) for track in tracks]

    def window(self, start: int, samples: int) -> Samples:
        """Return (2, samples) of sound from sample `start` of the recording on."""
        mixed = np.zeros((2, samples), np.float32)
        for track in self._tracks:
            track.add_to(mixed, start)
        return np.asarray(np.tanh(mixed), np.float32) if np.abs(mixed).max(initial=0) > 0.9 else mixed


class _Track:
    def __init__(self, root: Path, track: ManifestTrack) -> None:
        self._coming = _decoded(root, sorted(track.files, key=lambda file: file.start_ms))
        self._muted = [(start * RATE // 1000, end * RATE // 1000) for start, end in track.muted]
        self._held: tuple[int, Samples] | None = next(self._coming, None)

    def add_to(self, mixed: Samples, start: int) -> None:
        end = start + mixed.shape[1]
        while self._held is not None and self._held[0] < end:
            position, data = self._held
            first, last = max(position, start), min(position + data.shape[1], end)
            if first < last:
                part = data[:, first - position : last - position].copy()
                for begin, stop in self._muted:
                    part[:, max(0, begin - first) : max(0, stop - first)] = 0
                mixed[:, first - start : last - start] += part
            if position + data.shape[1] > end:
                return
            self._held = next(self._coming, None)


def _decoded(root: Path, files: Sequence[ManifestFile]) -> Iterator[tuple[int, Samples]]:
    """Yield (position, (2, n) samples) in order."""
    for file in files:
        expected: int | None = None
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        with av.open(root / file.key, options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.audio[0]
            for packet in container.demux(stream):
                if not packet.size:  # an empty packet would end the decoder for good
                    continue
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in frames:
                    if frame.pts is None or frame.time_base is None:
                        continue
                    at = round((file.start_ms / 1000 + float(frame.pts * frame.time_base)) * RATE)
                    if expected is None or abs(at - expected) > _SLACK:
                        expected = at
                    frame.pts = None
                    for resampled in resampler.resample(frame):
                        data = np.asarray(resampled.to_ndarray(), np.float32)
                        yield expected, data
                        expected += data.shape[1]
