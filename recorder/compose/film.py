"""Makes the film: scene by scene, image by image, into MP4 with H264 and AAC. Memory does not grow with its length.

The picture is made in parts that are kept: the next attempt continues after the last complete one. The sound is made
when all are there, since its loudness is known only then.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorder.compose import images, sounds
from recorder.compose.canvas import Canvas
from recorder.compose.images import Images, Shown
from recorder.compose.samples import RATE, Samples
from recorder.compose.scenes import HEIGHT, INTERRUPTED, WIDTH, Scene, Tile, scenes
from recorder.manifest import Manifest, ManifestTrack

_PART_SECONDS = 30
_RATES = (15, 20, 24, 25, 30)
_OPEN = 32
"""The number of tracks whose files stay open: those that are seen, and some that may come back."""
_AAC_SAMPLES = 1024
_OF_PICTURE, _OF_LOUDNESS = 0.9, 0.05
"""Shares of the work; the rest is sound and putting together."""

Report = Callable[[float], None]


def compose(
    root: Path,
    manifest: Manifest,
    out: Path,
    *,
    parts: Path,
    report: Report,
    goes_on: Callable[[], bool] = lambda: True,
) -> bool:
    """Write the film of a finished recording, whose files are below `root`, to `out`; False when it gave way before.

    `parts` is a directory for finished parts. `report` is called with the share that is done; `goes_on` is called
    between parts. Raises OSError, av.FFmpegError, ValueError when there is nothing to show.
    """
    if manifest.duration_ms <= 0 or not any(track.files for track in manifest.tracks):
        raise ValueError("the recording is empty")
    picture = _Picture(root, manifest, parts)
    try:
        for _ in picture.make(lambda done: report(_OF_PICTURE * done)):
            if not goes_on():
                return False
    finally:
        picture.close()
    heard = [track for track in manifest.tracks if track.media == "audio" and track.files]
    samples = manifest.duration_ms * RATE // 1000
    measured = sounds.mixed(root, heard, samples)
    gain = sounds.measure(measured, lambda share: report(_OF_PICTURE + _OF_LOUDNESS * share), samples)
    _put_together(out, picture.parts, sounds.mastered(sounds.mixed(root, heard, samples), gain))
    report(1.0)
    return True


def frame_rate(root: Path, manifest: Manifest) -> int:
    """Return the rate of the film: as high as the fastest source needs, within bounds."""
    files = [file for track in manifest.tracks if track.media == "video" for file in track.files]
    fastest = max((images.frame_rate(root, file) for file in files), default=0.0)
    return next((rate for rate in _RATES if rate >= fastest - 0.5), _RATES[-1])


class _Picture:
    """The film without its sound, in parts."""

    def __init__(self, root: Path, manifest: Manifest, directory: Path) -> None:
        self._rate = frame_rate(root, manifest)
        self._total = -(-manifest.duration_ms * self._rate // 1000)
        self._scenes = scenes(manifest)
        self._stage = _Stage(root, manifest.tracks)
        step = _PART_SECONDS * self._rate
        self._firsts = range(0, self._total, step)
        self._step = step
        self.parts = [directory / f"{first // step:05}.mp4" for first in self._firsts]

    def make(self, report: Report) -> Iterator[None]:
        """Make the missing parts; yields after each."""
        for first, part in zip(self._firsts, self.parts, strict=True):
            end = min(first + self._step, self._total)
            if not part.exists():
                self._encode(first, end, part, report)
                yield
            report(end / self._total)

    def close(self) -> None:
        self._stage.close()

    def _encode(self, first: int, end: int, part: Path, report: Report) -> None:
        """Write a part, which appears when it is complete."""
        unfinished = part.with_suffix(f".{os.getpid()}.tmp")
        with av.open(unfinished, "w", format="mp4") as container:
            video = container.add_stream("libx264", rate=self._rate)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.codec_context.time_base = Fraction(1, self._rate)
            video.codec_context.thread_count = 1
            video.codec_context.options = {"preset": "veryfast", "crf": "24", "g": str(2 * self._rate)}
            for index in range(first, end):
                frame = self._stage.frame(self._scene(index), index * 1000 / self._rate)
                frame.pts, frame.time_base = index - first, Fraction(1, self._rate)
                container.mux(video.encode(frame))
                if (index + 1) % self._rate == 0:
                    report((index + 1) / self._total)
            container.mux(video.encode(None))
        unfinished.replace(part)

    def _scene(self, index: int) -> Scene:
        at = index * 1000 / self._rate
        return next((scene for scene in self._scenes if at < scene.end_ms), self._scenes[-1])


class _Stage:
    """The picture as it is now. Times do not go back."""

    def __init__(self, root: Path, tracks: list[ManifestTrack]) -> None:
        self._root = root
        self._tracks = {track.track: track for track in tracks}
        self._canvas = Canvas()
        self._images: OrderedDict[str, Images] = OrderedDict()
        self._scene: Scene | None = None
        self._drawn: dict[str, Shown] = {}

    def frame(self, scene: Scene, ms: float) -> av.VideoFrame:
        """Return the picture at an instant of a scene."""
        if scene is not self._scene:
            self._scene, self._drawn = scene, {}
            self._canvas.begin(scene)
        for tile in scene.tiles:
            if tile.track is not None:
                self._draw(tile, tile.track, ms)
        return self._canvas.frame()

    def close(self) -> None:
        for reader in self._images.values():
            reader.close()

    def _draw(self, tile: Tile, track: str, ms: float) -> None:
        shown = self._of(track).at(ms, tile.since_ms)
        if shown == self._drawn.get(track, Shown()):
            return
        self._drawn[track] = shown
        if shown.image is None or shown.is_interrupted:
            self._canvas.placard(tile, INTERRUPTED if shown.is_interrupted else "")
        else:
            self._canvas.show(tile, shown.image.image)

    def _of(self, track: str) -> Images:
        reader = self._images.pop(track, None) or Images(self._root, self._tracks[track])
        self._images[track] = reader
        if len(self._images) > _OPEN:
            self._images.popitem(last=False)[1].close()
        return reader


def _put_together(out: Path, parts: list[Path], windows: Iterator[Samples]) -> None:
    """Copy the parts' pictures one after another, interleaved with the sound."""
    with av.open(out, "w", format="mp4", options={"movflags": "+faststart"}) as container, av.open(parts[0]) as first:
        video = container.add_stream_from_template(first.streams.video[0])
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        audio.codec_context.bit_rate = 128_000
        sound = _sound(audio, windows)
        heard = next(sound, None)
        for packet in _pictures(parts, video):
            assert packet.dts is not None
            while heard is not None and _seconds(heard) <= _seconds(packet):
                container.mux(heard)
                heard = next(sound, None)
            container.mux(packet)
        while heard is not None:
            container.mux(heard)
            heard = next(sound, None)


def _pictures(parts: list[Path], stream: Any) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of all parts, one part after another."""
    start = 0
    for part in parts:
        with av.open(part) as container:
            source = container.streams.video[0]
            assert source.duration is not None
            for packet in container.demux(source):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + start, packet.dts + start
                packet.stream = stream
                yield packet
            start += source.duration


def _sound(stream: Any, windows: Iterator[Samples]) -> "Iterator[av.Packet[Any]]":
    fifo = av.AudioFifo()
    samples = 0
    for window in windows:
        if not window.shape[1]:
            continue
        frame = av.AudioFrame.from_ndarray(window, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, samples, Fraction(1, RATE)
        samples += window.shape[1]
        fifo.write(frame)
        for piece in fifo.read_many(_AAC_SAMPLES):
            yield from stream.encode(piece)
    if (rest := fifo.read(0, partial=True)) is not None:
        yield from stream.encode(rest)
    yield from stream.encode(None)


def _seconds(packet: "av.Packet[Any]") -> float:
    assert packet.dts is not None and packet.time_base is not None
    return float(packet.dts * packet.time_base)
