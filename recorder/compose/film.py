"""Makes a film in the requested format, scene by scene and image by image. Memory does not grow with its length.

The video is made in parts, which are kept: the next attempt continues after the last complete one. A thread beside it
measures the sound, which finds its loudness and the speakers, and then encodes it. Finally all are muxed.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import numpy as np

from foundation.film_options import SOUND_ONLY, FilmOptions
from foundation.jobs import Said
from objects.sealed_file import PLAIN, Files
from recorder import containers
from recorder.compose import caption_track, formats, images, levels, sounds
from recorder.compose.caption_track import add_captions, cues
from recorder.compose.cuts import Cuts
from recorder.compose.early import RATE as EARLY_RATE
from recorder.compose.early import EarlyParts
from recorder.compose.encoded_sound import encoded
from recorder.compose.formats import FORMATS, PART_SECONDS, sound_part, video_part
from recorder.compose.layouts import follows_sound
from recorder.compose.levels import Meter, Sound
from recorder.compose.samples import RATE, Samples
from recorder.compose.scenes import film_chapters, scenes
from recorder.compose.stage import Instant, Stage
from recorder.compose.storyboard import write_storyboard
from recorder.manifest import Manifest, ManifestTrack

_RATES = (15, 20, 24, 25, 30)
_OF_PARTS = 0.95
"""The share of the work before muxing."""

Report = Callable[[float], None]


def compose(
    root: Path,
    manifest: Manifest,
    out: Path,
    *,
    parts: Path,
    report: Report,
    options: FilmOptions = FilmOptions(),  # noqa: B008  immutable
    goes_on: Callable[[], bool] = lambda: True,
    files: Files = PLAIN,
    said: Sequence[Said] = (),
) -> bool:
    """Write the film of a finished recording, whose files are below `root`, to `out`; return False if it yielded.

    `parts` is a directory for finished parts; `said` are the captions to show. `report` is called with the progress
    (0 to 1); `goes_on` is called between parts. The storyboard of a film with video is written beside it. Raises
    OSError, av.FFmpegError, and ValueError if there is nothing to show.
    """
    wanted = [one for one in manifest.tracks if options.takes(one.track, one.participant, one.source)]
    manifest = msgspec.structs.replace(manifest, tracks=wanted)
    if manifest.duration_ms <= 0 or not any(track.files for track in manifest.tracks):
        raise ValueError("the recording is empty")
    plan = _Plan(root, manifest, options, Cuts(options.ranges, manifest.duration_ms), files, said)
    made: list[Path] = []
    if options.format in SOUND_ONLY:
        heard = _SoundPart(plan, parts, lambda share: report(_OF_PARTS * share))
    else:
        heard = _SoundPart(plan, parts, lambda share: None)
    try:
        if options.format not in SOUND_ONLY:
            rate = EARLY_RATE if EarlyParts(parts, files).exist else frame_rate(root, manifest, files)
            picture = _Picture(plan, parts, rate, heard.findings() if follows_sound(options) else None)
            made = picture.parts
            try:
                for _ in picture.make(lambda share: report(_OF_PARTS * share)):
                    if not goes_on():
                        heard.part()  # it is needed in any case, and would otherwise begin anew in each attempt
                        return False
            finally:
                picture.close()
        _put_together(out, made, heard.part(), plan)
    finally:
        heard.close()
    if made:
        write_storyboard(out, files)
    report(1.0)
    return True


class _Plan(NamedTuple):
    """The sources of a film, and its options."""

    root: Path
    manifest: Manifest
    options: FilmOptions
    cuts: Cuts
    files: Files
    said: Sequence[Said]

    def heard(self) -> list[ManifestTrack]:
        """Return the audio tracks."""
        return [track for track in self.manifest.tracks if track.media == "audio" and track.files]

    def mixed(self, meter: Meter | None = None) -> Iterator[Samples]:
        return sounds.mixed(self.root, self.heard(), self.cuts.spans, meter, files=self.files)


class _SoundPart:
    """The sound of a film: one thread first measures, then encodes it."""

    def __init__(self, plan: _Plan, directory: Path, report: Report) -> None:
        codecs = FORMATS[plan.options.format]
        self._plan = plan
        self._codecs = codecs
        self._report = report
        self._part = sound_part(directory, plan.options.format)
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "sound")
        is_needed = follows_sound(plan.options) or not self._part.exists()
        self._findings = self._thread.submit(self._measure, directory / "sound.json") if is_needed else None
        self._encoded = self._thread.submit(self._encode)

    def findings(self) -> Sound:
        """Return what was measured. Blocks."""
        assert self._findings is not None, "sound that is encoded is measured only where the layout depends on it"
        return self._findings.result()

    def part(self) -> Path:
        """Return the encoded sound. Blocks."""
        self._encoded.result()
        return self._part

    def close(self) -> None:
        """End the thread, even if it has not finished."""
        self._closed = True
        self._thread.shutdown(cancel_futures=True)

    def _measure(self, path: Path) -> Sound:
        if (known := levels.kept(path, self._plan.files)) is not None:
            return known
        heard = self._plan.heard()
        meter = Meter(len(heard), self._plan.manifest.duration_ms)
        windows = self._until_closed(self._plan.mixed(meter))
        gain = sounds.measure(windows, lambda share: self._report(share / 2), self._total)
        sound = levels.sound_of(gain, meter.powers, [track.participant for track in heard])
        levels.keep(path, sound, self._plan.files)
        return sound

    def _encode(self) -> None:
        """Write the encoded sound atomically."""
        if self._part.exists():
            return
        unfinished = self._part.with_suffix(f".{os.getpid()}.tmp")
        windows = sounds.mastered(self._until_closed(self._plan.mixed()), self.findings().gain)
        with containers.writing(self._plan.files, unfinished, self._codecs.container) as container:
            stream = formats.add_audio(container, self._codecs.audio)
            for packet in encoded(stream, windows, self._codecs.frame_samples):
                container.mux(packet)
                self._report(0.5 + _seconds(packet) / self._plan.cuts.total_ms * 500)
        unfinished.replace(self._part)

    @property
    def _total(self) -> int:
        return self._plan.cuts.total_ms * RATE // 1000

    def _until_closed(self, windows: Iterator[Samples]) -> Iterator[Samples]:
        for window in windows:
            if self._closed:
                raise InterruptedError("the film was given up")
            yield window


def frame_rate(root: Path, manifest: Manifest, access: Files = PLAIN) -> int:
    """Return the frame rate of the film: that of the fastest source, within bounds."""
    files = [file for track in manifest.tracks if track.media == "video" for file in track.files]
    fastest = max((images.frame_rate(root, file, access) for file in files), default=0.0)
    return next((rate for rate in _RATES if rate >= fastest - 0.5), _RATES[-1])


class _Picture:
    """The film without its sound, in parts."""

    def __init__(self, plan: _Plan, directory: Path, rate: int, sound: Sound | None) -> None:
        self._rate = rate
        self._files = plan.files
        self._options = plan.options
        self._cuts = plan.cuts
        self._total = -(-plan.cuts.total_ms * self._rate // 1000)
        self._scenes = scenes(plan.manifest, plan.options, sound.speech if sound is not None else ())
        wave = np.array(sound.wave if sound is not None else (), np.float32)
        burnt = plan.said if plan.options.captions == "burnt" else ()
        self._stage = Stage(plan.root, plan.manifest.tracks, plan.options, wave, files=plan.files, said=burnt)
        self._step = PART_SECONDS * self._rate
        self._firsts = range(0, self._total, self._step)
        self.parts = [video_part(directory, first // self._step, plan.options.format) for first in self._firsts]

    def make(self, report: Report) -> Iterator[None]:
        """Make the missing parts; yield after each."""
        for first, part in zip(self._firsts, self.parts, strict=True):
            end = min(first + self._step, self._total)
            if not part.exists():
                self._encode(first, end, part, report)
                yield
            report(end / self._total)

    def close(self) -> None:
        self._stage.close()

    def _encode(self, first: int, end: int, part: Path, report: Report) -> None:
        pictures = self._stage.pictures(self._instant(index) for index in range(first, end))
        for index in write_part(part, pictures, self._options, self._rate, self._files):
            if (first + index + 1) % self._rate == 0:
                report((first + index + 1) / self._total)

    def _instant(self, index: int) -> Instant:
        at = self._cuts.at(index * 1000 / self._rate)
        place = bisect_right(self._scenes, at, key=lambda scene: scene.end_ms)
        return Instant(self._scenes[min(place, len(self._scenes) - 1)], at)


def write_part(
    part: Path, pictures: Iterator[av.VideoFrame], options: FilmOptions, rate: int, files: Files
) -> Iterator[int]:
    """Write a part of the video atomically; yield the number of each picture. Raises OSError, av.FFmpegError."""
    codecs = FORMATS[options.format]
    unfinished = part.with_suffix(f".{os.getpid()}.tmp")
    with containers.writing(files, unfinished, codecs.part) as container:
        video = formats.add_video(container, codecs.video, (options.width, options.height), rate)
        for index, frame in enumerate(pictures):
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(video.encode(frame))
            yield index
        container.mux(video.encode(None))
    unfinished.replace(part)


def _put_together(out: Path, parts: list[Path], sound: Path, plan: _Plan) -> None:
    """Copy the packets of the video's parts, one part after another, interleaved with the sound's."""
    codecs = FORMATS[plan.options.format]
    movflags = formats.movflags(fragmented=plan.options.fragmented) if codecs.container in {"mp4", "ipod"} else {}
    with (
        containers.writing(plan.files, out, codecs.container, movflags) as container,
        containers.reading(plan.files, sound) as encoded,
    ):
        pictures: Iterator[av.Packet[Any]] = iter(())
        if parts:
            with containers.reading(plan.files, parts[0]) as first:
                video = container.add_stream_from_template(first.streams.video[0])
            pictures = _pictures(parts, video, plan.files)
            container.set_chapters(_marks(plan))
        audio = container.add_stream_from_template(encoded.streams.audio[0])
        texts: Iterator[av.Packet[Any]] = iter(())
        if parts and plan.options.captions == "track" and (found := cues(plan.said, plan.cuts)):
            texts = caption_track.packets(found, plan.options.format, add_captions(container, plan.options.format))
        for packet in merge(_copied(encoded, audio), pictures, texts, key=_seconds):
            container.mux(packet)


def _copied(encoded: Any, stream: Any) -> "Iterator[av.Packet[Any]]":
    for packet in encoded.demux(encoded.streams.audio[0]):
        if packet.dts is not None:
            packet.stream = stream
            yield packet


def _marks(plan: _Plan) -> list[Any]:
    found = film_chapters(plan.manifest, plan.options)
    ends = [*(mark.start_ms for mark in found[1:]), plan.cuts.total_ms]
    return [
        {"id": index, "start": mark.start_ms, "end": end, "time_base": Fraction(1, 1000),
         "metadata": {"title": mark.title}}
        for index, (mark, end) in enumerate(zip(found, ends, strict=True))
    ]  # fmt: skip


def _pictures(parts: list[Path], stream: Any, files: Files) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of all parts, one part after another."""
    for index, part in enumerate(parts):
        with containers.reading(files, part) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is None or packet.dts is None or packet.time_base is None:
                    continue
                start = round(index * PART_SECONDS / packet.time_base)
                packet.pts, packet.dts = packet.pts + start, packet.dts + start
                packet.stream = stream
                yield packet


def _seconds(packet: "av.Packet[Any]") -> float:
    assert packet.dts is not None and packet.time_base is not None
    return float(packet.dts * packet.time_base)
