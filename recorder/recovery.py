"""Recovery from a kill: truncates torn segments after their last complete block, closes them, and finds where to
continue.

A segment is torn if its journal lacks the closing line. Its file is truncated after the last complete block; its
journal, which always has at least as many frames as the file, gets the missing closing line.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from objects.sealed_file import PLAIN, Files
from recorder import matroska
from recorder.journal import (
    ClosedLine,
    EndedLine,
    Journal,
    JournalHead,
    JournalWriter,
    read_closing_line,
    read_head,
    read_journal,
)
from recorder.layout import journals, track_dirs
from recorder.segment_file import ClosedSegment

RECENT = 16
"""The number of a track's last segments that a start reads: a long meeting has thousands, and capture must resume fast.

Capture must resume while the sfu can still replay. Finishing reads every segment.
"""

_TAIL_BYTES = 512


class StreamId(NamedTuple):
    """A stream of a track within one lifetime of the room on the sfu, which a later attachment can continue."""

    track: str
    lifetime: int
    ssrc: int


class ResumePoint(NamedTuple):
    """The point at which a stream's capture ended. `head` and `header` are those of its last segment with frames.

    `ended`: the sfu closed the stream there, so if it returns, media that was not sent meanwhile is not a loss.
    """

    last_ext_seq: int
    head: JournalHead
    header: bytes
    ended: bool


def seal(recording: Path, recent: int = 0, files: Files = PLAIN) -> list[ClosedSegment]:
    """Close torn segments of a recording, among the `recent` last of each track or all; return them. Raises OSError."""
    sealed = []
    for directory in track_dirs(recording):
        for _, path in journals(directory)[-recent:]:
            if _closing_line(path, files) is None:
                segment = _seal_segment(path, files)
                if segment is not None:
                    sealed.append(segment)
    return sealed


def resume_points(recording: Path, files: Files = PLAIN) -> dict[StreamId, ResumePoint]:
    """Return where each stream of a sealed recording's recent segments ended. Raises OSError if they cannot be read."""
    latest: dict[StreamId, ResumePoint] = {}
    for directory in track_dirs(recording):
        for _, path in reversed(journals(directory)[-RECENT:]):
            head = _head(path, files)
            if head is None or StreamId(head.track, head.lifetime, head.ssrc) in latest:
                continue
            point = _resume_point(path, files)
            if point is not None:
                latest[StreamId(head.track, head.lifetime, head.ssrc)] = point
    return latest


def recent_segments(recording: Path, files: Files = PLAIN) -> list[tuple[JournalHead, ClosedSegment]]:
    """Return the recent closed segments that hold frames, track by track in the order of capture. Raises OSError."""
    found = []
    for directory in track_dirs(recording):
        for _, path in journals(directory)[-RECENT:]:
            head, closed = _head(path, files), _closing_line(path, files)
            if head is not None and closed is not None and closed.frames:
                segment = ClosedSegment(media_path(path, head), closed.frames, closed.bytes, closed.sha256)
                found.append((head, segment))
    return found


def has_frames(path: Path, files: Files = PLAIN) -> bool:
    """Return True if a journal's segment was closed and holds frames. Raises OSError."""
    closed = _closing_line(path, files)
    return closed is not None and closed.frames > 0


def media_path(journal: Path, head: JournalHead) -> Path:
    """Return the path of a journal's media file, which is named in the head."""
    return journal.with_name(Path(head.file).name)


def _resume_point(path: Path, files: Files) -> ResumePoint | None:
    """Return where a segment's stream ended; None if it has no frames, or was damaged since it was closed."""
    journal = read_journal(files.read(path))
    closed = journal.closed
    if closed is None or not closed.frames:
        return None
    media = media_path(path, journal.head)
    if not media.exists():
        return None
    with files.open(media) as file:
        header = file.read(journal.head.header_bytes)
    ended = any(isinstance(line, EndedLine) for line in journal.lines)
    return ResumePoint(journal.frames()[closed.frames - 1].last_ext_seq, journal.head, header, ended)


def _seal_segment(path: Path, files: Files) -> ClosedSegment | None:
    try:
        journal = read_journal(files.read(path))
    except ValueError:
        return None  # killed before the head was written, so the media file is empty
    media = media_path(path, journal.head)
    segment = _cut(media, journal, files)
    files.truncate(path, journal.whole_bytes)
    files.append(path, JournalWriter(journal.head).line(ClosedLine(segment.frames, segment.bytes, segment.sha256)))
    return segment


def _cut(media: Path, journal: Journal, files: Files) -> ClosedSegment:
    """Truncate a torn media file after its last complete frame in the journal."""
    media.touch()  # killed before it was created
    with files.view(media) as view:
        if not view:
            return ClosedSegment(media, 0, 0, hashlib.sha256().hexdigest())
        contents = matroska.read_contents(view)
        frames = min(len(contents.blocks), len(journal.frames()))
        end = contents.blocks[frames - 1].end if frames else contents.header_bytes
        digest = hashlib.sha256(view[:end]).hexdigest()
    files.truncate(media, end)
    return ClosedSegment(media, frames, end, digest)


def _closing_line(path: Path, files: Files) -> ClosedLine | None:
    with files.open(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return read_closing_line(file.read())


def _head(path: Path, files: Files) -> JournalHead | None:
    with files.open(path) as file:
        try:
            return read_head(file.readline())
        except ValueError:
            return None
