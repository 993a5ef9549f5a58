"""Finishing of an ended recording: one seekable file per track from its segments, then the manifest as the commit.

It runs in a separate thread and can be repeated: it never changes segments, and replaces the files of an earlier
attempt.
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import av

from objects.sealed_file import Files
from recorder import layout, manifest, matroska, recovery
from recorder.finished_file import FinishedFile, FinishedWriter, finished_suffix
from recorder.journal import ClosedLine, JournalHead, read_journal
from recorder.manifest import Manifest, ManifestFile, ManifestSegment, ManifestTrack, RecordingInfo
from recorder.recovery import StreamId
from recorder.segment_cache import SegmentCache
from recorder.segment_policy import PATIENCE
from recorder.timeline import SegmentTimes, Timeline, label, milliseconds, muted_spans, new_frames, segment_times
from sfu.formats.codecs import Codec

_log = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_OVERLAP = 200_000_000
"""The overlap of two streams of sound above which the later stream wins; a smaller one is clock error."""
_SEAM = 500_000_000
"""The most between two segments of a stream that was captured without a break."""


class Stopped(Exception):
    """The process is stopping; the next start finishes the recording."""


class CapturedSegment(NamedTuple):
    times: SegmentTimes
    closed: ClosedLine
    journal: Path
    media: Path


@dataclass(slots=True)
class _Span:
    """The positions (ns) of the first and the last frame of a segment, or of segments that follow each other."""

    stream: StreamId
    start: int
    end: int

    def surrounds(self, other: "_Span") -> bool:
        """Return True if another stream begins and ends within it."""
        return self.stream != other.stream and self.start < other.start and other.end < self.end


class _Frame(NamedTuple):
    """A captured frame on the recording's timeline."""

    data: bytes
    position: int
    keyframe: bool
    segment: CapturedSegment
    media: Path


def finish(
    root: Path,
    info: RecordingInfo,
    instance: str,
    problems: int,
    stop: threading.Event,
    *,
    cache: SegmentCache | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> Manifest:
    """Write a recording's finished files and its manifest; return it. Raises OSError, Stopped.

    Damaged media are left out and make the recording partial; the rest is finished anyway. An ignored clock is a
    problem too, but loses no media. `cache` provides the segments that are not on this disk.
    """
    cache = cache or SegmentCache(root)
    directory = layout.recording_dir(root, info.recording)
    files = cache.files
    recovery.seal(directory, files=files)
    sentences = ["the recorder could not save everything that it received"] if problems else []
    if info.abandoned:
        sentences.append("its end was not announced")
    tracks = {path.name: _segments(path, sentences, files) for path in layout.track_dirs(directory)}
    tracks = {name: segments for name, segments in tracks.items() if segments}
    timeline = Timeline(info, (segment.times for segments in tracks.values() for segment in segments))
    finished = []
    for name, segments in tracks.items():
        who = label(segments[0].times.head)
        sentences += [f"{who}: {problem}" for problem in _problems(segments)]
        try:
            finished.append(_finish_track(directory, segments, timeline, sentences, stop, cache=cache))
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise
            _log.error("track %s of recording %s: %s", name, info.recording, error)
            sentences.append(f"{who}: {error}")
            finished.append(_manifest_track(root, segments, [], timeline))
    result = Manifest(
        version=manifest.VERSION,
        recording=info.recording,
        room=info.room,
        state="empty" if not finished else "partial" if sentences else "ready",
        started_unix_ms=info.started_unix_ms,
        ended_unix_ms=info.ended_unix_ms,
        duration_ms=max((track.start_ms + track.duration_ms for track in finished), default=0),
        bytes=sum(file.bytes for track in finished for file in track.files),
        instance=instance,
        tracks=finished,
        problems=[*sentences, *timeline.problems],
    )
    manifest.write_manifest(directory, result, sign, files)
    return result


def _problems(segments: Sequence[CapturedSegment]) -> list[str]:
    """Return sentences about media of a track that the sfu received but the recording lacks, each once."""
    found = [problem for segment in segments for problem in segment.times.problems]
    missed = sum(segment.times.missed_packets for segment in segments)
    if missed:
        found.append(f"{missed} packets were lost because the recorder was unavailable or too slow")
    return list(dict.fromkeys(found))


def _segments(directory: Path, problems: list[str], files: Files) -> list[CapturedSegment]:
    """Return a track's closed segments that have frames, in the order of capture, without the frames."""
    found = []
    for _, path in layout.journals(directory):
        if not recovery.has_frames(path, files):
            continue
        try:
            journal = read_journal(files.read(path))
        except ValueError as error:
            problems.append(f"{directory.name}/{path.name}: {error}")
            continue
        if journal.closed is None:
            problems.append(f"{directory.name}/{path.name} is damaged")
            continue
        media = recovery.media_path(path, journal.head)
        found.append(CapturedSegment(segment_times(journal), journal.closed, path, media))
    return found


def _finish_track(
    directory: Path,
    segments: Sequence[CapturedSegment],
    timeline: Timeline,
    problems: list[str],
    stop: threading.Event,
    *,
    cache: SegmentCache,
) -> ManifestTrack:
    made: list[tuple[JournalHead, int, FinishedFile]] = []
    files = cache.files
    frames = _frames(cache, segments, timeline, problems, stop)
    frame = next(frames, None)
    while frame is not None:
        head, start = frame.segment.times.head, frame.position
        parameters = _parameters(frame, files)
        codec = Codec[head.codec.upper()]
        path = layout.finished_path(directory, head.track, len(made) + 1, finished_suffix(codec))
        size = (head.width, head.height)
        with FinishedWriter(path, codec, frame.media, size, head.channels, files=files) as writer:
            segment = frame.segment
            while frame is not None:
                if frame.segment is not segment:
                    segment = frame.segment
                    if _parameters(frame, files) != parameters:
                        break
                writer.write(frame.data, frame.position - start, frame.keyframe)
                frame = next(frames, None)
            made.append((head, start, writer.finish()))
    return _manifest_track(directory.parent, segments, made, timeline)


def _frames(
    cache: SegmentCache,
    segments: Sequence[CapturedSegment],
    timeline: Timeline,
    problems: list[str],
    stop: threading.Event,
) -> Iterator[_Frame]:
    """Yield a track's frames in the order of its timeline, each once, from the start of the recording on.

    Sound from before the start is cut. Video from before it is shown at the start if later frames refer to it.
    """
    referred: list[_Frame] = []
    for frame in _all_frames(cache, segments, timeline, problems, stop):
        if frame.keyframe:
            referred.clear()
        if frame.position < 0:
            referred.append(frame)
            continue
        for early in referred:
            yield early._replace(position=0)
        referred.clear()
        yield frame


def _all_frames(
    cache: SegmentCache,
    segments: Sequence[CapturedSegment],
    timeline: Timeline,
    problems: list[str],
    stop: threading.Event,
) -> Iterator[_Frame]:
    """Yield a track's frames in the order of its timeline, each once."""
    ordered = sorted(segments, key=lambda s: _start(s, timeline))
    if ordered[0].times.head.media == "video":
        ordered = _without_interludes(ordered, timeline)
    taken: dict[StreamId, int] = {}
    for segment, until in zip(ordered, _ends(ordered, timeline), strict=True):
        times = segment.times
        media = cache.path(segment.media, segment.closed.sha256)
        if media is None:
            problems.append(f"{segment.media.name} is missing")
            continue
        behind = taken.get(times.stream_id, -1)
        # The segment before may have been lost with a disk, and cannot be missed if its journal was, too.
        decodable = not times.head.continues or times.head.first_ext_seq <= behind + 1
        start = _start(segment, timeline)
        for data, timestamp, last_ext_seq, keyframe in _read_frames(
            segment, media, behind, problems, files=cache.files
        ):
            if stop.is_set():
                raise Stopped
            taken[times.stream_id] = last_ext_seq
            position = timeline.position(times, timestamp)
            decodable = decodable or keyframe or position - start >= PATIENCE
            if decodable and (until is None or position < until):
                yield _Frame(data, position, keyframe, segment, media)


def _start(segment: CapturedSegment, timeline: Timeline) -> int:
    return timeline.position(segment.times, segment.times.head.timestamp)


def _without_interludes(ordered: Sequence[CapturedSegment], timeline: Timeline) -> list[CapturedSegment]:
    """Leave out a layer of a video that came and went while another was captured: the latter's pictures depend on each
    other, so it could not go on afterwards.
    """
    placed = [_span(segment, timeline) for segment in ordered]
    captured: list[_Span] = []
    for span in placed:
        before = next((one for one in reversed(captured) if one.stream == span.stream), None)
        if before is not None and span.start - before.end < _SEAM:
            before.end = max(before.end, span.end)
        else:
            captured.append(replace(span))
    return [
        segment
        for segment, span in zip(ordered, placed, strict=True)
        if not any(one.surrounds(span) for one in captured)
    ]


def _span(segment: CapturedSegment, timeline: Timeline) -> _Span:
    times = segment.times
    return _Span(times.stream_id, _start(segment, timeline), timeline.position(times, times.last_timestamp))


def _ends(ordered: Sequence[CapturedSegment], timeline: Timeline) -> list[int | None]:
    """Return for each segment the position from which the next stream replaces it, None if none does."""
    ends: list[int | None] = []
    following: tuple[StreamId, int] | None = None
    end: int | None = None
    for segment in reversed(ordered):
        times = segment.times
        if following is not None and following[0] != times.stream_id:
            end = following[1] + (_OVERLAP if times.head.media == "audio" else 0)
        ends.append(end)
        following = times.stream_id, _start(segment, timeline)
    return ends[::-1]


def _read_frames(
    segment: CapturedSegment, media: Path, last_ext_seq: int, problems: list[str], *, files: Files
) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield (data, timestamp, last ext_seq, keyframe) of a segment's frames behind `last_ext_seq`."""
    frames = read_journal(files.read(segment.journal)).frames()[: segment.closed.frames]
    with files.view(media) as view:
        blocks = matroska.read_contents(view).blocks
        if len(blocks) < len(frames):
            problems.append(f"{segment.media.name} has only {len(blocks)} of {len(frames)} frames")
        for i, line in new_frames(frames[: len(blocks)], last_ext_seq):
            block = blocks[i]
            yield bytes(view[block.start : block.end]), line.timestamp, line.last_ext_seq, block.keyframe


def _parameters(frame: _Frame, files: Files) -> tuple[str, bytes]:
    """Return the properties that must not change within a finished file. VP8, VP9 and AV1 signal a new size in band."""
    head = frame.segment.times.head
    if head.codec != "h264":
        return head.codec, b""
    with files.open(frame.media) as file:
        return head.codec, matroska.codec_private(file.read(head.header_bytes))


def _manifest_track(
    root: Path,
    segments: Sequence[CapturedSegment],
    files: Sequence[tuple[JournalHead, int, FinishedFile]],
    timeline: Timeline,
) -> ManifestTrack:
    first = segments[0].times.head
    start = min((start for _, start, _ in files), default=0)
    end = max((start + file.duration_ns for _, start, file in files), default=start)
    return ManifestTrack(
        track=first.track,
        participant=first.participant,
        name=first.name,
        source=first.source,
        media=first.media,
        codec=first.codec,
        start_ms=milliseconds(start),
        duration_ms=milliseconds(end - start),
        files=[
            ManifestFile(
                key=layout.key(root, file.path),
                codec=head.codec,
                start_ms=milliseconds(at),
                duration_ms=milliseconds(file.duration_ns),
                bytes=file.bytes,
                sha256=file.sha256,
                frames=file.frames,
                width=head.width,
                height=head.height,
            )
            for head, at, file in files
        ],
        segments=[
            ManifestSegment(
                key=layout.key(root, segment.media),
                bytes=segment.closed.bytes,
                sha256=segment.closed.sha256,
                start_ms=milliseconds(_start(segment, timeline)),
            )
            for segment in segments
        ],
        lost_packets=sum(segment.times.lost_packets for segment in segments),
        muted=muted_spans(timeline, [segment.times for segment in segments], end),
    )
