"""The sound of all audio tracks: mixed, adjusted to the target loudness, limited. Gaps and mutes are silent."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
_NEAR = RATE // 10
"""The difference of mutes that may come from clocks that were known less well during the recording."""
_FADE = RATE // 200
"""A mute fades over 5 ms, to avoid a click."""
_PIECE = RATE // 2
"""The length of the pieces in which sound is converted and mixed."""


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


class GrowingMix:
    """The raw mix of tracks that get more files while it is read, in order."""

    def __init__(self, root: Path, files: Files = PLAIN) -> None:
        self._root = root
        self._files = files
        self._tracks: dict[str, _Track] = {}
        self._end = 0
        self.is_whole = True
        """False if files or mutes became known after their time was read."""

    def follow(self, tracks: Iterable[ManifestTrack]) -> None:
        """Add what is new in the tracks; known files are not looked at again."""
        for track in tracks:
            known = self._tracks.get(track.track)
            if known is None:
                known = self._tracks[track.track] = _Track(self._root, track, self._files)
                self.is_whole &= not known.begins_before(self._end)
            elif not known.follow(track, self._end):
                self.is_whole = False

    def until(self, end_ms: int) -> Iterator[Samples]:
        """Yield the samples from where the last call ended, at most a second at a time.

        All that is heard before `end_ms` must be known. Raises OSError, av.FFmpegError.
        """
        last = end_ms * RATE // 1000
        while self._end < last:
            window = np.zeros((2, min(RATE, last - self._end)), np.float32)
            for track in self._tracks.values():
                track.add_to(window, self._end)
            self._end += window.shape[1]
            yield window

    @property
    def end_ms(self) -> int:
        """The time until which the mix was read."""
        return self._end * 1000 // RATE

    @property
    def starts(self) -> dict[str, int]:
        """The start of each file in ms of the recording, by key."""
        return {key: start for track in self._tracks.values() for key, start in track.starts.items()}


class _Track:
    """The sound of a track; windows must be requested in order."""

    def __init__(self, root: Path, track: ManifestTrack, files: Files) -> None:
        self.starts: dict[str, int] = {}
        self._pieces = _Pieces(root, files)
        self._muted: list[tuple[int, int]] = []
        self._held: tuple[int, Samples] | None = None
        self.follow(track, 0)

    def follow(self, track: ManifestTrack, read: int) -> bool:
        """Add the files that are new, and take over the mutes; return False if they change what was `read` already."""
        muted = [(start * RATE // 1000, end * RATE // 1000) for start, end in track.muted]
        is_late = not _near(_clipped(muted, read), _clipped(self._muted, read))
        self._muted = muted
        for file in sorted(track.files, key=lambda file: file.start_ms):
            if file.key not in self.starts:
                self.starts[file.key] = file.start_ms
                self._pieces.add(file)
                is_late |= file.start_ms * RATE // 1000 < read - _SLACK
        return not is_late

    def begins_before(self, instant: int) -> bool:
        return any(start * RATE // 1000 < instant - _SLACK for start in self.starts.values())

    def add_to(self, window: Samples, start: int) -> None:
        end = start + window.shape[1]
        while True:
            self._held = self._held or self._pieces.next()
            if self._held is None or self._held[0] >= end:
                return
            position, data = self._held
            first, last = max(position, start), min(position + data.shape[1], end)
            if first < last:
                part = data[:, first - position : last - position]
                if (audible := self._audible(first, last)) is not None:
                    part = part * audible
                window[:, first - start : last - start] += part
            if position + data.shape[1] > end:
                return
            self._held = None

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


class _Pieces:
    """Decoded pieces of files, one file after another, of which more can be added.

    A decoder continues from file to file, so sound that was cut into segments has no seams.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._root = root
        self._files = files
        self._waiting: deque[ManifestFile] = deque()
        self._coming: Iterator[tuple[int, Samples]] = iter(())
        self._decoder: av.AudioCodecContext | None = None
        self._resampler = _new_resampler()
        self._expected: int | None = None

    def add(self, file: ManifestFile) -> None:
        self._waiting.append(file)

    def next(self) -> tuple[int, Samples] | None:
        """Return the next (position, (2, n) samples), None if there is no more file. Raises OSError, av.FFmpegError."""
        while (piece := next(self._coming, None)) is None and self._waiting:
            self._coming = self._decoded(self._waiting.popleft())
        return piece

    def _decoded(self, file: ManifestFile) -> Iterator[tuple[int, Samples]]:
        """Yield the pieces of a file. Frames are joined, because each conversion costs as much as many samples."""
        joined = av.AudioFifo()
        for at, frame in self._frames(file):
            coming = joined.samples * RATE // frame.sample_rate
            if self._expected is None or abs(at - self._expected - coming) > _SLACK:
                yield from self._converted(joined)
                self._expected = at
            frame.pts = None
            joined.write(frame)
            if joined.samples >= _PIECE * frame.sample_rate // RATE:
                yield from self._converted(joined)
        yield from self._converted(joined)

    def _converted(self, joined: av.AudioFifo) -> Iterator[tuple[int, Samples]]:
        frame = joined.read(0, partial=True)
        if frame is None or self._expected is None:
            return
        frame.pts = None
        for resampled in self._resampler.resample(frame):
            data = np.asarray(resampled.to_ndarray(), np.float32)
            yield self._expected, data
            self._expected += data.shape[1]

    def _frames(self, file: ManifestFile) -> "Iterator[tuple[int, av.AudioFrame]]":
        """Yield the decoded frames of a file, each with its position in the recording."""
        with containers.reading(self._files, self._root / file.key) as container:
            stream = container.streams.audio[0]
            assert stream.time_base is not None
            unit, start = float(stream.time_base * RATE), file.start_ms * RATE / 1000
            before, decoder = self._decoder, self._decoder_of(stream)
            for packet in container.demux(stream):
                if not packet.size:  # an empty packet would permanently end the decoder
                    continue
                try:
                    frames = decoder.decode(packet if decoder is not before else _bare(packet))
                except av.FFmpegError:
                    continue
                for frame in frames:
                    if frame.pts is not None:
                        yield round(start + frame.pts * unit), frame

    def _decoder_of(self, stream: Any) -> av.AudioCodecContext:
        """Return the decoder that has decoded so far, or another one if this stream needs it."""
        context = stream.codec_context
        known = self._decoder
        if known is None or (known.name, known.extradata) != (context.name, context.extradata):
            known = self._decoder = av.AudioCodecContext.create(context.name, "r")
            known.extradata = context.extradata
            known.sample_rate, known.layout = context.sample_rate, context.layout
            self._resampler = _new_resampler()
            self._expected = None
        return known


def _clipped(muted: list[tuple[int, int]], read: int) -> list[tuple[int, int]]:
    return [(start, min(end, read)) for start, end in muted if start < read - _NEAR]


def _near(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> bool:
    pairs = [pair for a, b in zip(one, other, strict=False) for pair in zip(a, b, strict=True)]
    return len(one) == len(other) and all(abs(a - b) <= _NEAR for a, b in pairs)


def _bare(packet: "av.Packet[Any]") -> "av.Packet[Any]":
    """Return a packet without the note that its first samples are to be skipped: they continue what was decoded."""
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    return copy


def _new_resampler() -> av.AudioResampler:
    return av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
