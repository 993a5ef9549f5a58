"""Scenes of a film, each with its tiles: pure, from the manifest alone. Times are in ms since the recording began.

A participant is in the picture from the start of its first track to the end of its last; without an image, its name and
the reason are shown. The first image of a camera that starts soon is shown already before. A scene lasts until any of
that, or the speaker, changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from foundation.film_options import FilmOptions
from recorder.compose.cuts import Cuts
from recorder.compose.images import LEAD_MS
from recorder.compose.layouts import Moment, Seen, Tile, arrange
from recorder.manifest import Manifest, ManifestTrack

_REJOIN_MS = 2000
_MIN_MS = 40
_FIRST_CHAPTER_MS = 3000
_CHAPTER_MS = 5000
_MAX_CHAPTERS = 100
CAMERA_OFF = "Camera off"
INTERRUPTED = "Connection interrupted"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    start_ms: int
    end_ms: int
    tiles: tuple[Tile, ...]


class Speech(NamedTuple):
    """From `start_ms` on, this participant is the current or last speaker."""

    start_ms: int
    participant: str


class Chapter(NamedTuple):
    start_ms: int
    title: str


@dataclass(frozen=True, slots=True)
class _Person:
    participant: str
    name: str
    present: list[Span]
    tracks: list[ManifestTrack]
    cameras: list[ManifestTrack]
    microphones: list[ManifestTrack]


def scenes(manifest: Manifest, options: FilmOptions, speech: Sequence[Speech] = ()) -> list[Scene]:
    """Return the scenes from 0 to the recording's end, without gaps. `speech` has the speakers in order."""
    persons = _persons(manifest.tracks)
    screens = [track for track in manifest.tracks if track.media == "video" and track.source != "camera"]
    edges = {0, manifest.duration_ms, *(said.start_ms for said in speech)}
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
        at = (start + end) // 2
        speaker = next((said.participant for said in reversed(speech) if said.start_ms <= at), "")
        tiles = arrange(_moment(persons, screens, speaker, at), options)
        if found and found[-1].tiles == tiles:
            found[-1] = Scene(found[-1].start_ms, end, tiles)
        else:
            found.append(Scene(start, end, tiles))
        start = end
    return found


def _chapters(manifest: Manifest) -> list[Chapter]:
    """Return the instants that a viewer may look for: joins, and shared screens."""
    marks = [
        Chapter(start, f"{person.name} joined") for person in _persons(manifest.tracks) for start, _ in person.present
    ]
    marks += [
        Chapter(min(start for start, _ in running(track)), f"{track.name or track.participant}: screen")
        for track in manifest.tracks
        if track.media == "video" and track.source != "camera" and track.files
    ]
    found = [Chapter(0, "Start")]
    for mark in sorted(mark for mark in marks if _FIRST_CHAPTER_MS <= mark.start_ms < manifest.duration_ms):
        if len(found) < _MAX_CHAPTERS and mark.start_ms - found[-1].start_ms >= _CHAPTER_MS:
            found.append(mark)
    return found


def film_chapters(manifest: Manifest, options: FilmOptions) -> list[Chapter]:
    """Return the chapters of a film, in its own time."""
    cuts = Cuts(options.ranges, manifest.duration_ms)
    placed = ((cuts.film_time(mark.start_ms), mark.title) for mark in _chapters(manifest))
    found = [Chapter(at, title) for at, title in placed if at]
    return [Chapter(0, "Start"), *found]


def running(track: ManifestTrack) -> list[Span]:
    """Return the spans in which a track has media. A pause in which the last image stays visible is part of one."""
    return _merged((file.start_ms, file.start_ms + file.duration_ms) for file in track.files)


def _whole(track: ManifestTrack) -> Span | None:
    """Return the start and end of a track, including gaps; None for one without media."""
    spans = running(track)
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def _moment(persons: Sequence[_Person], screens: Sequence[ManifestTrack], speaker: str, at: int) -> Moment:
    people = tuple(_seen(person, at) for person in persons if _within(person.present, at))
    screen = next((track for track in reversed(screens) if _within(running(track), at)), None)
    if screen is None:
        return Moment(people, None, speaker)
    shared = Seen(screen.participant, f"{screen.name}: screen", screen.track, since_ms=_since(screen, at))
    return Moment(people, shared, speaker)


def _seen(person: _Person, at: int) -> Seen:
    heard = any(_within(running(track), at) and not _within(track.muted, at) for track in person.microphones)
    image = _shown(person, at)
    if image is None:
        return Seen(person.participant, person.name, None, not heard, _note(person, at))
    return Seen(person.participant, person.name, image.track, not heard, since_ms=_since(image, at))


def _note(person: _Person, at: int) -> str:
    """Return the reason that a present participant has no image; "" for one that never had a camera."""
    there = [track for track in person.tracks if (span := _whole(track)) is not None and _within([span], at)]
    broken = [track for track in there if not _within(running(track), at) and not _within(track.muted, at)]
    if any(track in person.cameras for track in broken) or (broken and broken == there):
        return INTERRUPTED
    return CAMERA_OFF if person.cameras else ""


def _shown(person: _Person, at: int) -> ManifestTrack | None:
    """Return the camera that is visible at an instant, or is about to be: a participant's sound often comes first."""
    cameras = person.cameras
    found = next((t for t in cameras if _within(running(t), at) and not _within(t.muted, at)), None)
    if found is not None:
        return found
    joined = max((start for start, _ in person.present if start <= at), default=at)
    coming = ((_first_image(t), t) for t in cameras if t.files)
    return next((t for first, t in coming if at < first <= joined + LEAD_MS), None)


def _first_image(track: ManifestTrack) -> int:
    """Return when a track with media is visible for the first time."""
    first = min(start for start, _ in running(track))
    return max([first, *(end for start, end in track.muted if start <= first < end)])


def _since(track: ManifestTrack, at: int) -> int:
    """Return the start of the time for which a track, visible at an instant, has been visible."""
    begun = [start for start, end in running(track) if start <= at < end]
    return max([*begun, *(end for _, end in track.muted if end <= at)], default=0)


def _persons(tracks: Sequence[ManifestTrack]) -> list[_Person]:
    """Return the participants in the order in which they joined."""
    of: dict[str, list[ManifestTrack]] = {}
    for track in sorted(tracks, key=lambda one: one.start_ms):
        of.setdefault(track.participant, []).append(track)
    return [
        _Person(
            participant,
            own[-1].name or participant,
            _from_start(_merged(span for track in own for span in (_whole(track), *track.muted) if span is not None)),
            own,
            [track for track in own if track.source == "camera"],
            [track for track in own if track.media == "audio" and track.source == "microphone"],
        )
        for participant, own in of.items()
    ]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans, with those joined that are less than a moment apart."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= _REJOIN_MS:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _from_start(spans: list[Span]) -> list[Span]:
    """Return the spans; one that begins with the recording, but for a moment, begins at 0."""
    return [(0 if index == 0 and start < LEAD_MS else start, end) for index, (start, end) in enumerate(spans)]


def _within(spans: Iterable[Span], at: int) -> bool:
    return any(start <= at < end for start, end in spans)
