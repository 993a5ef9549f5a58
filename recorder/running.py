"""The manifest of a recording that is still running: its closed segments as files, for a film that is made meanwhile.

Segments are read, never changed. A track whose open segment has been at rest for some seconds (a muted camera, an
unchanged screen) counts as captured until now.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from objects.sealed_file import PLAIN, Files
from recorder import layout, manifest, recovery
from recorder.journal import ClosedLine, EndedLine, Journal, read_journal
from recorder.manifest import Manifest, ManifestFile, ManifestSegment, ManifestTrack, RecordingInfo
from recorder.timeline import SegmentTimes, Timeline, milliseconds, muted_spans, segment_times

_REST_NS = 4_000_000_000
"""The time without a frame after which an open segment is at rest; a recorder waits up to a second for a packet."""
_BEHIND_MS = 6000
"""The distance to now: newer tracks may not have a journal yet."""
_OVERLAP_MS = 200
_STEP_NS = 33_000_000

Span = tuple[int, int]


class Running(NamedTuple):
    """A running recording, captured until `until_ms`. `unsure` are spans, by media, that only finishing can order:
    where a stream continued without a keyframe, or two streams of a track overlap.
    """

    manifest: Manifest
    until_ms: int
    unsure: dict[str, list[Span]]


class _Segment(NamedTuple):
    """A segment with frames. `ended`: its stream was closed; `is_open`: it is still being written."""

    times: SegmentTimes
    media: Path
    frames: int
    is_open: bool
    ended: bool


class Follower:
    """Reads a running recording again and again; the journals of closed segments are read once."""

    def __init__(self, root: Path, recording: str, files: Files = PLAIN) -> None:
        self._root = root
        self._directory = layout.recording_dir(root, recording)
        self._files = files
        self._closed: dict[Path, _Segment | None] = {}

    def look(self, now_unix_ms: int) -> Running | None:
        """Return the recording at an instant, None if it does not run or has no media yet. Raises OSError."""
        info = self._info()
        if info is None or info.state != "recording":
            return None
        tracks, timeline = self._read_all(info)
        now_ms = now_unix_ms - info.started_unix_ms
        until = min([now_ms - _BEHIND_MS, *(_captured(segments, timeline, now_ms) for segments in tracks)])
        return self._seen(info, tracks, timeline, until) if tracks and until > 0 else None

    def ended(self) -> tuple[bytes, Running] | None:
        """Return the manifest of the finished recording and its segments, None until it is finished. Raises OSError."""
        info = self._info()
        if info is None or info.state == "recording":
            return None
        try:
            data = self._files.read(self._directory / layout.MANIFEST_NAME)
            finished = manifest.decode_manifest(data)
        except (FileNotFoundError, ValueError):
            return None
        if finished.ended_unix_ms != info.ended_unix_ms:  # it was finished before, and continued
            return None
        return data, self._seen(info, *self._read_all(info), finished.duration_ms)

    def _read_all(self, info: RecordingInfo) -> tuple[list[list["_Segment"]], Timeline]:
        tracks = [self._segments(path) for path in layout.track_dirs(self._directory)]
        tracks = [segments for segments in tracks if segments]
        return tracks, Timeline(info, (segment.times for segments in tracks for segment in segments))

    def _seen(self, info: RecordingInfo, tracks: list[list["_Segment"]], timeline: Timeline, until: int) -> Running:
        made = [_track(self._root, segments, timeline, until) for segments in tracks]
        unsure: dict[str, list[Span]] = {}
        for segments in tracks:
            unsure.setdefault(segments[0].times.head.media, []).extend(_unsure(segments, timeline))
        return Running(_manifest(info, made, until), until, unsure)

    def is_running(self) -> bool:
        """Return True until the recording has ended. Raises OSError."""
        info = self._info()
        return info is not None and info.state == "recording"

    def _info(self) -> RecordingInfo | None:
        try:
            return manifest.read_info(self._directory)
        except ValueError:
            return None

    def _segments(self, directory: Path) -> list[_Segment]:
        """Return a track's segments that have frames, in the order of capture."""
        found = []
        for _, path in layout.journals(directory):
            if path in self._closed:
                segment = self._closed[path]
            else:
                segment, is_open = self._read(path)
                if not is_open:
                    self._closed[path] = segment
            if segment is not None:
                segment.times.base = 0  # the timeline computes it anew
                found.append(segment)
        return found

    def _read(self, path: Path) -> tuple[_Segment | None, bool]:
        """Return the segment of a journal, None if it has no frames, and whether it is still being written."""
        try:
            journal = read_journal(self._files.read(path))
        except ValueError:
            return None, True  # its head is not written yet
        is_open = journal.closed is None
        frames = len(journal.frames()) if journal.closed is None else journal.closed.frames
        if not frames:
            return None, is_open
        if is_open:
            journal = Journal(journal.head, [*journal.lines, ClosedLine(frames, 0, "")], 0)
        ended = any(isinstance(line, EndedLine) for line in journal.lines)
        media = recovery.media_path(path, journal.head)
        return _Segment(segment_times(journal), media, frames, is_open, ended), is_open


def _captured(segments: Sequence[_Segment], timeline: Timeline, now_ms: int) -> int:
    """Return the time until which a track is known, in ms of the recording."""
    still_open = [segment for segment in segments if segment.is_open and not segment.ended]
    growing = [segment for segment in still_open if not _rests(segment)]
    if growing:  # two, while the publisher changes layers
        return min(_start(segment, timeline) for segment in growing)
    if still_open:
        return now_ms - _BEHIND_MS
    last = segments[-1]
    return now_ms if last.ended else _end(last, timeline)


def _rests(segment: _Segment) -> bool:
    try:
        return time.time_ns() - segment.media.stat().st_mtime_ns >= _REST_NS
    except FileNotFoundError:
        return False


def _track(root: Path, segments: Sequence[_Segment], timeline: Timeline, until: int) -> ManifestTrack:
    head = segments[0].times.head
    files = []
    for segment in segments:
        if segment.is_open and not _rests(segment):
            continue
        start, end = _start(segment, timeline), _end(segment, timeline)
        if segment.is_open and not segment.ended:
            end = max(end, until)
        if end > 0:
            files.append(
                ManifestFile(
                    key=layout.key(root, segment.media),
                    codec=segment.times.head.codec,
                    start_ms=start,
                    duration_ms=end - start,
                    bytes=0,
                    sha256="",
                    frames=segment.frames,
                    width=segment.times.head.width,
                    height=segment.times.head.height,
                )
            )
    first = max(0, min((file.start_ms for file in files), default=0))
    last = max((file.start_ms + file.duration_ms for file in files), default=first)
    return ManifestTrack(
        track=head.track,
        participant=head.participant,
        name=segments[-1].times.head.name,
        source=head.source,
        media=head.media,
        codec=head.codec,
        start_ms=first,
        duration_ms=last - first,
        files=files,
        segments=[
            ManifestSegment(key=layout.key(root, segment.media), bytes=0, sha256="", start_ms=_start(segment, timeline))
            for segment in segments
        ],
        muted=muted_spans(timeline, [segment.times for segment in segments], until * 1_000_000),
    )


def _unsure(segments: Sequence[_Segment], timeline: Timeline) -> list[Span]:
    spans = []
    end = 0
    for segment in segments:
        start, own_end = _start(segment, timeline), _end(segment, timeline)
        continues = segment.times.head.continues and segment.times.head.media == "video"
        if continues or start < end - _OVERLAP_MS:
            spans.append((min(start, end), max(own_end, end)))
        end = max(end, own_end)
    return spans


def _manifest(info: RecordingInfo, tracks: list[ManifestTrack], until: int) -> Manifest:
    return Manifest(
        version=manifest.VERSION,
        recording=info.recording,
        room=info.room,
        state="ready",
        started_unix_ms=info.started_unix_ms,
        ended_unix_ms=0,
        duration_ms=until,
        bytes=0,
        instance=info.instance,
        tracks=[track for track in tracks if track.files],
    )


def _start(segment: _Segment, timeline: Timeline) -> int:
    return milliseconds(timeline.position(segment.times, segment.times.head.timestamp))


def _end(segment: _Segment, timeline: Timeline) -> int:
    """Return the end of a segment's last frame, whose length is not known: about that of an image."""
    return milliseconds(timeline.position(segment.times, segment.times.last_timestamp) + _STEP_NS)
