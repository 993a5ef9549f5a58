"""The sound of all audio tracks: mixed, adjusted to the target loudness, limited. Gaps and mutes are silent."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from objects.sealed_file import PLAIN, Files
from recorder import containers
from recorder.compose.levels import Meter
from recorder.compose.limiter import Limiter
from recorder.compose.loudness import Loudness, gain_to_target
from recorder.compose.samples import RATE, Samples
from recorder.manifest import ManifestFile, ManifestTrack

_SLACK = RATE // 100
"""Times in files are in ms, so a frame is moved only if it would be off by more than 10 ms."""
_FADE = RATE // 200
"""A mute fades over 5 ms, to avoid a click."""


def mixed(
    root: Path,
    tracks: Sequence[ManifestTrack],
    spans: Sequence[tuple[int, int]],
    meter: Meter | None = None,
    *,
    files: Files = PLAIN,
) -> Iterator[Samples]:
    """Yield the samples of the raw mix within spans (ms), at most a second at a time; `meter` gets each track."""
    sources = [_Track(root, track, files) for track in tracks]
    for begin, end in spans:
        last = end * RATE // 1000
        for start in range(begin * RATE // 1000, last, RATE):
            window = np.zeros((2, min(RATE, last - start)), np.float32)
            for index, source in enumerate(sources):
                if meter is None:
                    source.add_to(window, start)
                    continue
                own = np.zeros_like(window)
                source.add_to(own, start)
                meter.hear(index, start, own)
                window += own
            yield window


def measure(windows: Iterator[Samples], report: Callable[[float], None], total: int) -> float:
    """Return the gain for the mix; `report` is called with the progress (0 to 1)."""
    loudness = Loudness()
    done = 0
    for window in windows:
        loudness.add(window)
        done += window.shape[1]
        report(done / total)
    return gain_to_target(loudness.integrated())


def mastered(windows: Iterator[Samples], gain: float) -> Iterator[Samples]:
    """Yield the mix with its gain, limited."""
    limiter = Limiter()
    for window in windows:
        yield limiter.process(window * np.float32(gain))
    yield limiter.flush()


class _Track:
    """The sound of a track; windows must be requested in order."""

    def __init__(self, root: Path, track: ManifestTrack, files: Files) -> None:
        self._coming = _decoded(root, sorted(track.files, key=lambda file: file.start_ms), files)
        self._muted = [(start * RATE // 1000, end * RATE // 1000) for start, end in track.muted]
        self._held: tuple[int, Samples] | None = next(self._coming, None)

    def add_to(self, window: Samples, start: int) -> None:
        end = start + window.shape[1]
        while self._held is not None and self._held[0] < end:
            position, data = self._held
            first, last = max(position, start), min(position + data.shape[1], end)
            if first < last:
                part = data[:, first - position : last - position]
                if (audible := self._audible(first, last)) is not None:
                    part = part * audible
                window[:, first - start : last - start] += part
            if position + data.shape[1] > end:
                return
            self._held = next(self._coming, None)

    def _audible(self, first: int, last: int) -> Samples | None:
        """Return the factors for samples from `first` to `last`: 0 while muted, fading at the edges; None for 1."""
        factors: Samples | None = None
        for begin, stop in self._muted:
            if begin - _FADE < last and first < stop + _FADE:
                at = np.arange(first, last, dtype=np.float32)
                outside = np.maximum(begin - at, at - stop) / _FADE
                audible = np.clip(outside, 0.0, 1.0).astype(np.float32)
                factors = audible if factors is None else factors * audible
        return factors


def _decoded(root: Path, listed: Sequence[ManifestFile], files: Files) -> Iterator[tuple[int, Samples]]:
    """Yield (position, (2, n) samples) in order."""
    for file in listed:
        expected: int | None = None
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        with containers.reading(files, root / file.key) as container:
            stream = container.streams.audio[0]
            assert stream.time_base is not None
            unit, start = float(stream.time_base * RATE), file.start_ms * RATE / 1000
            for packet in container.demux(stream):
                if not packet.size:  # an empty packet would permanently end the decoder
                    continue
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in frames:
                    if frame.pts is None:
                        continue
                    at = round(start + frame.pts * unit)
                    if expected is None or abs(at - expected) > _SLACK:
                        expected = at
                    frame.pts = None
                    for resampled in resampler.resample(frame):
                        data = np.asarray(resampled.to_ndarray(), np.float32)
                        yield expected, data
                        expected += data.shape[1]
