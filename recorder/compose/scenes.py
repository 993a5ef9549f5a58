"""Scenes of a film (who is shown where and when): pure, from the manifest alone. Times are ms since the recording
began.

A participant is in the picture from the beginning of the first of its tracks to the end of the last; without an image,
its name is shown, with the reason. A shared screen takes most of the picture. A scene lasts until any of that changes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recorder.manifest import Manifest, ManifestTrack

WIDTH, HEIGHT = 1280, 720
MAX_TILES = 25
_STRIP = 6
_STRIP_WIDTH = 208
_REJOIN_MS = 2000
_MIN_MS = 40
CAMERA_OFF = "Camera off"
INTERRUPTED = "Connection interrupted"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture, in pixels; all even, as chroma is halved."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A participant in the picture. `track` is the track whose images fill it, None shows the name; `muted` is about
    its microphone.

    `note` says why there is no image. Images from before `since_ms` are outdated: the track was muted since.
    """

    box: Box
    participant: str
    name: str
    track: str | None
    muted: bool
    note: str = ""
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    start_ms: int
    end_ms: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class _Person:
    participant: str
    name: str
    present: list[Span]
    tracks: list[ManifestTrack]
    cameras: list[ManifestTrack]
    microphones: list[ManifestTrack]


def scenes(manifest: Manifest) -> list[Scene]:
    """Return the scenes from 0 to the recording's end, without gaps."""
    persons = _persons(manifest.tracks)
    screens = [track for track in manifest.tracks if track.media == "video" and track.source != "camera"]
    edges = {0, manifest.duration_ms}
    for person in persons:
        edges.update(edge for span in person.present for edge in span)
    for track in manifest.tracks:
        edges.update(edge for span in (*running(track), *track.muted) for edge in span)
    ordered = sorted(edge for edge in edges if 0 <= edge <= manifest.duration_ms)
    found: list[Scene] = []
    start = 0
    for end in ordered[1:]:
        if end - start < _MIN_MS and end != manifest.duration_ms:
            continue
        tiles = _tiles(persons, screens, (start + end) // 2)
        if found and found[-1].tiles == tiles:
            found[-1] = Scene(found[-1].start_ms, end, tiles)
        else:
            found.append(Scene(start, end, tiles))
        start = end
    return found


def running(track: ManifestTrack) -> list[Span]:
    """Return when a track has media."""
    return [(file.start_ms, file.start_ms + file.duration_ms) for file in track.files]


def _whole(track: ManifestTrack) -> Span | None:
    """Return when a track began and ended, gaps included; None for one without media."""
    spans = running(track)
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def grid(count: int, box: Box) -> list[Box]:
    """Return `count` equal boxes in rows, the last row centred."""
    columns = math.ceil(math.sqrt(count)) or 1
    rows = math.ceil(count / columns) or 1
    width, height = _even(box.width // columns), _even(box.height // rows)
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        left = (box.width - in_row * width) // 2
        boxes.append(Box(_even(box.x + left + column * width), _even(box.y + row * height), width, height))
    return boxes


def _tiles(persons: Sequence[_Person], screens: Sequence[ManifestTrack], at: int) -> tuple[Tile, ...]:
    shown = [person for person in persons if _within(person.present, at)]
    images = {person.participant: _shown(person.cameras, at) for person in shown}
    screen = next((track for track in reversed(screens) if _within(running(track), at)), None)
    if screen is None:
        shown = _fitting(shown, images, MAX_TILES)
        boxes = grid(len(shown), Box(0, 0, WIDTH, HEIGHT))
        return tuple(
            _tile(person, box, images[person.participant], at) for person, box in zip(shown, boxes, strict=True)
        )
    shown = _fitting(shown, images, _STRIP)
    main = Box(0, 0, WIDTH - _STRIP_WIDTH, HEIGHT)
    height = HEIGHT // _STRIP
    strip = [Box(main.width, index * height, _STRIP_WIDTH, height) for index in range(len(shown))]
    name = f"{screen.name}: screen"
    shared = Tile(main, screen.participant, name, screen.track, False, since_ms=_since(screen, at))
    beside = (_tile(person, box, images[person.participant], at) for person, box in zip(shown, strip, strict=True))
    return (shared, *beside)


def _fitting(shown: list[_Person], images: dict[str, ManifestTrack | None], room: int) -> list[_Person]:
    """Return at most `room` of those present, in order; those with an image come first."""
    if len(shown) <= room:
        return shown
    chosen = sorted(shown, key=lambda person: images[person.participant] is None)[:room]
    return [person for person in shown if person in chosen]


def _tile(person: _Person, box: Box, image: ManifestTrack | None, at: int) -> Tile:
    heard = any(_within(running(track), at) and not _within(track.muted, at) for track in person.microphones)
    if image is None:
        return Tile(box, person.participant, person.name, None, not heard, _note(person, at))
    return Tile(box, person.participant, person.name, image.track, not heard, since_ms=_since(image, at))


def _note(person: _Person, at: int) -> str:
    """Return why a participant who is there has no image; "" for one that never had a camera."""
    there = [track for track in person.tracks if (span := _whole(track)) is not None and _within([span], at)]
    broken = [track for track in there if not _within(running(track), at) and not _within(track.muted, at)]
    if any(track in person.cameras for track in broken) or (broken and broken == there):
        return INTERRUPTED
    return CAMERA_OFF if person.cameras else ""


def _shown(cameras: Iterable[ManifestTrack], at: int) -> ManifestTrack | None:
    return next((t for t in cameras if _within(running(t), at) and not _within(t.muted, at)), None)


def _since(track: ManifestTrack, at: int) -> int:
    """Return since when a track has been seen that is seen at an instant."""
    begun = [start for start, end in running(track) if start <= at < end]
    return max([*begun, *(end for _, end in track.muted if end <= at)])


def _persons(tracks: Sequence[ManifestTrack]) -> list[_Person]:
    """Return the participants in the order in which they came."""
    of: dict[str, list[ManifestTrack]] = {}
    for track in sorted(tracks, key=lambda one: one.start_ms):
        of.setdefault(track.participant, []).append(track)
    return [
        _Person(
            participant,
            own[-1].name or participant,
            _merged(span for track in own for span in (_whole(track), *track.muted) if span is not None),
            own,
            [track for track in own if track.source == "camera"],
            [track for track in own if track.media == "audio" and track.source == "microphone"],
        )
        for participant, own in of.items()
    ]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans, joined where less than a moment is between them."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= _REJOIN_MS:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _within(spans: Iterable[Span], at: int) -> bool:
    return any(start <= at < end for start, end in spans)


def _even(value: int) -> int:
    return value // 2 * 2
