"""Parts of a film that were made while its recording was running, and the check that they belong to the finished one.

Each has a note of what it shows. A part whose note differs from the finished recording is made again: somebody changed
their name later, or a gap turned out to be a pause.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from foundation.film_options import FilmOptions
from objects.sealed_file import Files
from recorder.compose.contract import belongs_to
from recorder.compose.early_sound import MOVED_MS
from recorder.compose.formats import PART_SECONDS, sound_part, video_part
from recorder.compose.scenes import Scene, scenes
from recorder.manifest import Manifest, ManifestTrack

OPTIONS = FilmOptions()
"""The options of the automatic film, which is the one that begins early."""
RATE = 30
"""The frames per second: the fastest source of the rest is not known."""
_MARK = "early"
_TOLERANCE_MS = 100
"""The difference of times that may come from clocks that were known less well during the recording."""

Span = tuple[int, int]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Content of a part: (start, tiles) of each scene, and the start of each of its segments.

    Times are in ms of the recording.
    """

    scenes: list[tuple[int, list[list[Any]]]]
    starts: dict[str, int] = {}


def span_of(number: int) -> Span:
    """Return the span of a part, in ms of the recording."""
    return number * PART_SECONDS * 1000, (number + 1) * PART_SECONDS * 1000


def shown(found: Sequence[Scene], tracks: Sequence[ManifestTrack], span: Span) -> Shown:
    """Return the content of a part."""
    start, end = span
    visible: list[tuple[int, list[list[Any]]]] = []
    for scene in found:
        first, last = max(start, scene.start_ms), min(end, scene.end_ms)
        tiles = [
            [tile.box.x, tile.box.y, tile.box.width, tile.box.height, tile.participant, tile.name, tile.track,
             tile.muted, tile.note, tile.labelled]
            for tile in scene.tiles
        ]  # fmt: skip
        if last - first >= _TOLERANCE_MS and (not visible or visible[-1][1] != tiles):
            visible.append((first, tiles))
    return Shown(scenes=visible, starts=_starts(tracks, span))


def look_alike(one: Shown, other: Shown) -> bool:
    """Return True if two contents show the same but for small differences of time."""
    if [tiles for _, tiles in one.scenes] != [tiles for _, tiles in other.scenes]:
        return False
    return all(abs(a - b) <= _TOLERANCE_MS for (a, _), (b, _) in zip(one.scenes, other.scenes, strict=True))


def are_in_place(part: Shown, tracks: Sequence[ManifestTrack]) -> bool:
    """Return True if the segments of a part are where they are in the finished recording."""
    found = {one.key: one.start_ms for track in tracks for one in track.segments if one.start_ms is not None}
    return all(abs(found.get(key, start) - start) <= MOVED_MS for key, start in part.starts.items())


class EarlyParts:
    """The notes of parts in a film's directory."""

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = directory
        self._files = files

    def begin(self) -> None:
        """Create the directory; keep the parts that an earlier process left with their notes. Raises OSError."""
        if belongs_to(self._directory).exists():  # the recording was finished, and continued
            shutil.rmtree(self._directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in (*self._directory.glob("*.tmp"), sound_part(self._directory, OPTIONS.format)):
            path.unlink(missing_ok=True)
        (self._directory / _MARK).touch()

    @property
    def exist(self) -> bool:
        """True if the film began during the recording."""
        return (self._directory / _MARK).exists()

    def note(self, number: int, content: Shown) -> None:
        """Note the content of a part, before it is made. Raises OSError."""
        path = self._directory / f"{number:05}.shown"
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(self._files.sealed(msgspec.json.encode(content)))
        unfinished.replace(path)

    def settle(self, data: bytes, manifest: Manifest) -> None:
        """Delete the parts that look different in the finished recording, whose manifest is `data`; note that the
        others belong to it. Raises OSError.
        """
        found = scenes(manifest, OPTIONS)
        for path in sorted(self._directory.glob("*.shown")):
            number = int(path.stem)
            noted = msgspec.json.decode(self._files.read(path), type=Shown)
            is_whole = span_of(number)[1] <= manifest.duration_ms
            content = shown(found, manifest.tracks, span_of(number))
            if not (is_whole and look_alike(noted, content) and are_in_place(noted, manifest.tracks)):
                video_part(self._directory, number, OPTIONS.format).unlink(missing_ok=True)
            path.unlink()
        belongs_to(self._directory).write_text(hashlib.sha256(data).hexdigest())


def _starts(tracks: Sequence[ManifestTrack], span: Span) -> dict[str, int]:
    """Return the starts of the video segments that reach into a span."""
    starts: dict[str, int] = {}
    for track in tracks:
        listed = sorted((one.start_ms, one.key) for one in track.segments if one.start_ms is not None)
        ends = [*(start for start, _ in listed[1:]), span[1]]
        for (start, key), end in zip(listed, ends, strict=True):
            if track.media == "video" and start < span[1] and end >= span[0]:
                starts[key] = start
    return starts
