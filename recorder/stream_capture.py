"""Capture of a stream: packets to frames, frames to segments. It owns the open segment, but no clock or task."""

import logging
from collections import deque
from pathlib import Path
from typing import NamedTuple

from foundation import tracing
from objects.sealed_file import PLAIN, Files
from recorder import metrics
from recorder.container_header import segment_header, segment_suffix
from recorder.journal import VERSION, EndedLine, JournalHead, Line, LossLine, MuteLine, ProblemLine, ReportLine
from recorder.layout import SegmentName
from recorder.recovery import ResumePoint, StreamId
from recorder.segment_file import ClosedSegment, SegmentFile
from recorder.segment_policy import CutTimes, Decision, SegmentPolicy
from recorder.trouble import sentence
from sfu.api.sink_records import MissedRecord, PacketRecord, SenderReportRecord, TrackMuteChanged, TrackOpened
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler, Loss

_log = logging.getLogger(__name__)

_PENDING_LINES = 64
_RETRY_DISK = 1_000_000_000


class Written(NamedTuple):
    """A change to make durable: growth of a segment, or its `last` change. `closed` is None if closing failed."""

    segment: SegmentFile
    last: bool
    closed: ClosedSegment | None


class StreamCapture:
    """Writes a stream to its track's directory. `changes` collects dirty segments until the owner takes them.

    `problems` counts refusals of the disk, `refusal` is a sentence about the last one; the owner takes both.

    `next_n` returns segment numbers, unique within the track and epoch.
    """

    def __init__(
        self,
        opened: TrackOpened,
        codec: Codec,
        *,
        directory: Path,
        epoch: int,
        next_n: "SegmentNumbers",
        resume: ResumePoint | None,
        times: CutTimes,
        max_wait: int,
        files: Files = PLAIN,
    ) -> None:
        self.opened = opened
        self.problems = 0
        self.refusal = ""
        self.changes: list[Written] = []
        self._codec = codec
        self._frames_total = metrics.FRAMES.labels(opened.media)
        self._frames = 0
        self._bytes = 0
        self._directory = directory
        self._files = files
        self._epoch = epoch
        self._next_n = next_n
        self._written = resume.last_ext_seq if resume else -1
        goes_on = resume is not None and not resume.ended
        self._assembler = FrameAssembler(
            codec,
            max_wait=max_wait,
            first_ext_seq=self._written + 1 if goes_on else None,
            fmtp=opened.fmtp,
            resumes=goes_on,
        )
        self._policy = SegmentPolicy(opened.clock_rate, codec.is_audio, times, goes_on)
        self._ended = False
        self._last_head = resume.head if resume else None
        self._header = resume.header if resume else b""
        self._size = (resume.head.width, resume.head.height) if resume else (0, 0)
        self._muted = opened.muted
        self._segment: SegmentFile | None = None
        self._pending: deque[Line] = deque(maxlen=_PENDING_LINES)
        self._disk_refused_at: int | None = None
        self._now = 0
        self._wall = 0
        self._lag = 0
        self._first_frame: tracing.Span | None = None
        if opened.traceparent and resume is None:
            about: dict[str, str | int] = {
                "meeting": opened.room,
                "participant": opened.participant,
                "media": opened.media,
                "track": opened.track,
                "ssrc": opened.ssrc,
            }
            self._first_frame = tracing.start("recorder.first_frame", tracing.read(opened.traceparent), about)

    @property
    def stream_id(self) -> StreamId:
        return StreamId(self.opened.track, self.opened.opened_at, self.opened.ssrc)

    def resume_point(self) -> ResumePoint | None:
        """Return the point where a later capture of this stream continues, None if nothing was written."""
        if self._last_head is None:
            return None
        return ResumePoint(self._written, self._last_head, self._header, self._ended)

    def packet(self, record: PacketRecord, wall: int) -> None:
        """Process a packet read at `wall`. Packets that an earlier attachment wrote are dropped."""
        self._now, self._wall = max(self._now, record.arrival), wall
        if record.ext_seq <= self._written:
            metrics.DROPPED_RECORDS.labels("already_written").inc()
            return
        try:
            results = self._assembler.push(record.ext_seq, record.arrival, record.rtp)
        except ValueError:
            metrics.DROPPED_RECORDS.labels("malformed").inc()
            return
        if results:
            self._take(results)

    def missed(self, record: MissedRecord) -> None:
        """Note packets that the sfu does not have."""
        first = max(record.first_ext_seq, self._written + 1)
        packets = record.first_ext_seq + record.packets - first
        if packets > 0:
            self._take(self._assembler.missed(first, packets))

    def report(self, record: SenderReportRecord) -> None:
        """Keep a sender report for the clock."""
        if record.ssrc == self.opened.ssrc:
            self._note(ReportLine(record.rtp_timestamp, record.ntp, record.arrival))

    def mute(self, record: TrackMuteChanged) -> None:
        """Note when the publisher muted or unmuted."""
        self._muted = record.muted
        self._note(MuteLine(record.muted, record.at))

    def tick(self, wall: int) -> bool:
        """Drop frames that have waited too long; return True if a keyframe should be requested. Time is that of the
        stream's last arrival, not the current time, which is seconds ahead during a replay.
        """
        self._now, self._wall = self._now + max(0, wall - self._wall), wall
        self._take(self._assembler.flush(self._now))
        self._count()
        return self._policy.keyframe_due(self._now)

    def close(self, reason: str) -> None:
        """Write the rest and close the segment. `reason` is the sfu's for closing the stream, "" if it is lost."""
        self._take(self._assembler.drain())
        self._ended = bool(reason)
        if self._ended and self._segment is not None:
            self._note(EndedLine(reason))
        self._close_segment()
        self._count()
        self._end_first_frame("closed before its first frame")

    def _count(self) -> None:
        """Add what was written to the metrics: doing so for each frame costs as much as writing some of them."""
        if self._frames:
            self._frames_total.inc(self._frames)
            metrics.BYTES.inc(self._bytes)
            metrics.LAG.set(self._lag / 1e9)
            self._frames = self._bytes = 0

    def _end_first_frame(self, outcome: str) -> None:
        """End the span. A layer that ends before its first keyframe has not failed."""
        if self._first_frame is not None:
            self._first_frame.note({"outcome": outcome})
            self._first_frame.end()
            self._first_frame = None

    def _take(self, results: list[Frame | Loss]) -> None:
        for result in results:
            if isinstance(result, Frame):
                self._frame(result)
            else:
                metrics.LOST_PACKETS.labels(result.reason.name.lower()).inc(result.packets)
                self._note(LossLine(result.first_ext_seq, result.packets, result.reason.name.lower()))
                if result.keyframe_needed:
                    self._policy.want_keyframe()

    def _frame(self, frame: Frame) -> None:
        decision = self._policy.decide(frame)
        if decision is Decision.DROP:
            metrics.DROPPED_FRAMES.labels("before_keyframe").inc()
            return
        try:
            if decision is Decision.CUT:
                self._close_segment()
                if not self._open_segment(frame):
                    return
            assert self._segment is not None
            before = self._segment.bytes
            self._segment.write(frame)
            self._end_first_frame("written")
        except OSError as error:
            self._disk_refused(error)
            return
        self._frames += 1
        self._bytes += self._segment.bytes - before
        self._lag = self._wall - frame.arrival
        self._written = frame.last_ext_seq
        if not self.changes or self.changes[-1].segment is not self._segment:
            self.changes.append(Written(self._segment, False, None))

    def _open_segment(self, frame: Frame) -> bool:
        """Open a segment that begins with `frame`; False if the frame cannot begin one. Raises OSError."""
        if self._disk_refused_at is not None and self._now - self._disk_refused_at < _RETRY_DISK:
            metrics.DROPPED_FRAMES.labels("disk").inc()
            self._policy.close()
            self._policy.want_keyframe()
            return False
        if not frame.keyframe and not self._header:
            metrics.DROPPED_FRAMES.labels("before_keyframe").inc()
            self._policy.close()
            self._policy.want_keyframe()
            return False
        if frame.keyframe:
            size = (frame.width, frame.height) if frame.width else self._size
            try:
                self._header = segment_header(self._codec, frame.data, *size, self.opened.channels)
            except ValueError as error:
                _log.warning("track %s: %s", self.opened.track, error)
                metrics.DROPPED_FRAMES.labels("no_header").inc()
                self._policy.close()
                self._policy.want_keyframe()
                return False
            self._size = size
        head = self._head(frame)
        self._segment = SegmentFile(self._directory, head, self._codec, self._header, self._files)
        self._last_head = head
        self._disk_refused_at = None
        while self._pending:
            self._segment.note(self._pending.popleft())
        return True

    def _head(self, frame: Frame) -> JournalHead:
        opened = self.opened
        n = self._next_n.take()
        assert opened.recording is not None
        return JournalHead(
            version=VERSION,
            recording=opened.recording,
            room=opened.room,
            participant=opened.participant,
            name=opened.name,
            track=opened.track,
            source=opened.source,
            media=opened.media,
            codec=self._codec.name.lower(),
            clock_rate=opened.clock_rate,
            channels=opened.channels,
            ssrc=opened.ssrc,
            lifetime=opened.opened_at,
            opened_unix_ms=opened.opened_unix_ms,
            epoch=self._epoch,
            n=n,
            first_ext_seq=frame.first_ext_seq,
            timestamp=frame.timestamp,
            arrival=frame.arrival,
            file=f"{SegmentName(self._epoch, n)}{segment_suffix(self._codec)}",
            header_bytes=len(self._header),
            width=self._size[0],
            height=self._size[1],
            muted=self._muted,
            continues=not frame.keyframe,
        )

    def _note(self, line: Line) -> None:
        """Write a line to the journal of the open segment, or of the next one."""
        if self._segment is None:
            self._pending.append(line)
            return
        try:
            self._segment.note(line)
        except OSError as error:
            self._disk_refused(error)

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        closed = None
        try:
            closed = segment.close()
            metrics.SEGMENTS.inc()
        except OSError as error:  # finishing seals it
            metrics.DISK_ERRORS.labels(metrics.name_of(error)).inc()
            self._note_refusal(error)
        self.changes.append(Written(segment, True, closed))

    def _note_refusal(self, error: OSError) -> None:
        self.problems += 1
        self.refusal = sentence(error)

    def _disk_refused(self, error: OSError) -> None:
        """Drop the segment; after a second, the next frame begins a new one."""
        _log.error("track %s of recording %s: %s", self.opened.track, self.opened.recording, error)
        metrics.DISK_ERRORS.labels(metrics.name_of(error)).inc()
        metrics.DROPPED_FRAMES.labels("disk").inc()
        self._note_refusal(error)
        self._pending.append(ProblemLine(str(error.strerror)))
        self._close_segment()
        self._policy.close()
        self._policy.want_keyframe()
        self._disk_refused_at = self._now


class SegmentNumbers:
    """Numbers of a track's segments within an epoch, from 1, shared by its streams."""

    def __init__(self) -> None:
        self._last = 0

    def take(self) -> int:
        """Return the next number."""
        self._last += 1
        return self._last
