"""An open segment: a media file and its journal, written so that a kill loses at most the frame being written."""

import contextlib
import hashlib
from pathlib import Path
from typing import NamedTuple

from objects.sealed_file import PLAIN, Files, sync_directory
from recorder import matroska
from recorder.block_payload import block_payload
from recorder.journal import AnchorLine, ClosedLine, FrameLine, JournalHead, JournalWriter, Line
from recorder.layout import JOURNAL_SUFFIX, SegmentName
from sfu.formats import opus
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame

_CLUSTER_MS = 5000
_ANCHOR_EVERY = 1_000_000_000


class ClosedSegment(NamedTuple):
    """A closed segment, which will not change any more."""

    path: Path
    frames: int
    bytes: int
    sha256: str


class SegmentFile:
    """Writes frames as they arrive. Every method can raise OSError.

    `sync` syncs earlier writes to disk; another thread may call it.
    """

    def __init__(self, directory: Path, head: JournalHead, codec: Codec, header: bytes, files: Files = PLAIN) -> None:
        name = SegmentName(head.epoch, head.n)
        self.path = directory / head.file
        self.frames = 0
        self.bytes = 0
        self.last_ext_seq = head.first_ext_seq - 1
        self._anchored_at = head.arrival
        self._codec = codec
        self._is_video = head.media == "video"
        self._clock_rate = head.clock_rate
        self._first_timestamp = head.timestamp
        self._writer = JournalWriter(head)
        self._hash = hashlib.sha256()
        self._cluster: int | None = None
        self._anchor: AnchorLine | None = None
        self._anchor_delay = 0
        self._entered = False
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            self._journal = files.appender(directory / f"{name}{JOURNAL_SUFFIX}")
            opened.callback(self._journal.close)
            self._media = files.appender(self.path)
            opened.callback(self._media.close)
            self._note(self._writer.head())
            self._append(header)
            opened.pop_all()

    def write(self, frame: Frame) -> None:
        """Append a frame. Its journal line is written first, so the journal never has less than the file."""
        milliseconds = (frame.timestamp - self._first_timestamp) * 1000 // self._clock_rate
        offset = self.bytes if self._is_video and frame.keyframe else -1
        line = FrameLine(frame.first_ext_seq, frame.last_ext_seq, frame.timestamp, offset)
        self._note(self._anchored(frame) + self._writer.line(line))
        payload = block_payload(self._codec, frame.data)
        cluster = b""
        if self._cluster is None or milliseconds - self._cluster >= _CLUSTER_MS or milliseconds < self._cluster:
            self._cluster = milliseconds
            cluster = matroska.cluster_header(milliseconds)
        block = matroska.block_header(len(payload), milliseconds - self._cluster, frame.keyframe)
        self._append(cluster + block + payload)
        self.frames += 1
        self.last_ext_seq = frame.last_ext_seq

    def note(self, line: Line) -> None:
        """Append a line to the journal."""
        self._note(self._writer.line(line))

    def close(self) -> ClosedSegment:
        """Append the closing line. The descriptors stay open for a last `sync`, then `release`."""
        closed = ClosedSegment(self.path, self.frames, self.bytes, self._hash.hexdigest())
        anchor = b"" if self._anchor is None else self._writer.line(self._anchor)
        self._note(anchor + self._writer.line(ClosedLine(closed.frames, closed.bytes, closed.sha256)))
        return closed

    def sync(self) -> None:
        """Sync everything to disk, the journal first, in the order of writing. Raises OSError."""
        self._journal.sync()
        self._media.sync()
        if not self._entered:
            sync_directory(self.path.parent)
            sync_directory(self.path.parent.parent)
            self._entered = True

    def release(self) -> None:
        """Close the descriptors."""
        self._journal.close()
        self._media.close()

    def _anchored(self, frame: Frame) -> bytes:
        """Return the line of the frame with the least delay in the last second, if one is due."""
        line = b""
        if self._anchor is not None and frame.arrival - self._anchored_at >= _ANCHOR_EVERY:
            line = self._writer.line(self._anchor)
            self._anchored_at, self._anchor = frame.arrival, None
        timestamp = frame.timestamp + self._duration(frame.data)
        delay = frame.arrival - timestamp * 1_000_000_000 // self._clock_rate
        if self._anchor is None or delay < self._anchor_delay:
            self._anchor, self._anchor_delay = AnchorLine(timestamp, frame.arrival), delay
        return line

    def _duration(self, data: bytes) -> int:
        """Return the duration of a frame before it can be sent: sound is sent only when it has ended."""
        if self._codec is not Codec.OPUS:
            return 0
        try:
            return opus.samples(data)
        except ValueError:
            return 0

    def _append(self, data: bytes) -> None:
        self._media.write(data)
        self._hash.update(data)
        self.bytes += len(data)

    def _note(self, data: bytes) -> None:
        self._journal.write(data)  # never a part of a line, which would make all later ones unreadable
