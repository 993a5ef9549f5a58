"""Timeline of a recording, with the position of each captured frame: pure, from the journals of its segments.

Zero is the start of the recording as set by control. If control's clock is ahead of the sfu's, frames arrive earlier,
and zero is the first arrival. Clocks of senders do not move it. A stream's timestamps are unwrapped across segments
and epochs. Where its RTP clock jumped, a new run begins, with its own map.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from recorder.clock import SECOND, FittedClock, Report, StreamClock, fit
from recorder.journal import AnchorLine, FrameLine, Journal, JournalHead, LossLine, MuteLine, ProblemLine, ReportLine
from recorder.lateness import on_time
from recorder.manifest import RecordingInfo
from recorder.recovery import StreamId

_MAX_JUMP = 10 * SECOND
_MISSED = "missed"
_LOST = ("expired", _MISSED, "overflow")


@dataclass(slots=True)
class SegmentTimes:
    """Input of a timeline from one segment. `base` is added to its timestamps; `reports` are those of the journal.

    `anchors` are (timestamp, arrival) of some of its frames; `on_time` the same, unwrapped, as if none were late.
    `missed_packets` are those of the `lost_packets` that the sfu received but could not pass to the recorder.
    """

    head: JournalHead
    last_timestamp: int
    anchors: list[tuple[int, int]]
    reports: list[ReportLine]
    mutes: list[MuteLine]
    lost_packets: int
    missed_packets: int
    problems: list[str]
    base: int = 0
    on_time: list[tuple[int, int]] = field(default_factory=list)

    @property
    def stream_id(self) -> StreamId:
        return StreamId(self.head.track, self.head.lifetime, self.head.ssrc)


@dataclass(slots=True)
class _Run:
    """Segments of one stream between jumps of its clock."""

    segments: list[SegmentTimes] = field(default_factory=list)

    def clock(self) -> StreamClock:
        head = self.segments[0].head
        reports = [_unwrapped(line, s) for s in self.segments for line in s.reports]
        anchors = [anchor for s in self.segments for anchor in s.on_time]
        return StreamClock(head.clock_rate, sorted(reports, key=lambda r: r.arrival), anchors)


def label(head: JournalHead) -> str:
    """Return the name of a track for people."""
    return f"{head.name} ({head.source})"


def segment_times(journal: Journal) -> SegmentTimes:
    """Return the timeline's input from a closed segment with frames."""
    head, closed = journal.head, journal.closed
    assert closed is not None
    last = journal.frames()[closed.frames - 1]
    losses = [line for line in journal.lines if isinstance(line, LossLine)]
    anchors = [(head.timestamp, head.arrival)]
    anchors += [(line.timestamp, line.arrival) for line in journal.lines if isinstance(line, AnchorLine)]
    return SegmentTimes(
        head=head,
        last_timestamp=last.timestamp,
        anchors=anchors,
        reports=[line for line in journal.lines if isinstance(line, ReportLine)],
        mutes=[line for line in journal.lines if isinstance(line, MuteLine)],
        lost_packets=sum(loss.packets for loss in losses if loss.reason in _LOST),
        missed_packets=sum(loss.packets for loss in losses if loss.reason == _MISSED),
        problems=[line.sentence for line in journal.lines if isinstance(line, ProblemLine)],
    )


class Timeline:
    """Positions in ns since the recording's start, of frames and of instants of the sfu's clock.

    Frames that a sender's clock places before the start have a negative position. `problems` has a sentence for each
    track whose clock is ignored.
    """

    def __init__(self, info: RecordingInfo, segments: Iterable[SegmentTimes]) -> None:
        """`segments` are ordered by track, then by capture."""
        self._info = info
        streams: dict[StreamId, list[SegmentTimes]] = {}
        for segment in segments:
            streams.setdefault(segment.stream_id, []).append(segment)
        runs: dict[tuple[str, int], list[_Run]] = {}
        for stream in streams.values():
            head = stream[0].head
            runs.setdefault((head.participant, head.lifetime), []).extend(_runs(stream))
        self._clocks: dict[int, FittedClock] = {}
        self.problems: list[str] = []
        for together in runs.values():
            for run, clock in zip(together, fit([run.clock() for run in together]), strict=True):
                self._clocks.update((id(segment), clock) for segment in run.segments)
                if clock.problem:
                    self.problems.append(f"{label(run.segments[0].head)}: {clock.problem}")
        self._zero = 0
        arrivals = (self.instant(s.head, s.head.arrival) for stream in streams.values() for s in stream)
        self._zero = min(0, min(arrivals, default=0))

    def position(self, segment: SegmentTimes, timestamp: int) -> int:
        """Return the position of a frame of the segment, by its timestamp in the journal."""
        return self.instant(segment.head, self._clocks[id(segment)].at(timestamp + segment.base))

    def instant(self, head: JournalHead, monotonic: int) -> int:
        """Return the position of an instant of the sfu's clock during the room's lifetime to which `head` belongs.

        Lifetimes are placed by the wall clock, because the monotonic clock of a restarted machine starts again.
        """
        opened = (head.opened_unix_ms - self._info.started_unix_ms) * 1_000_000
        return opened + monotonic - head.lifetime - self._zero


def new_frames(frames: Sequence[FrameLine], last_ext_seq: int) -> Iterable[tuple[int, FrameLine]]:
    """Yield (index, frame) of the frames after `last_ext_seq`, so frames of an earlier epoch are not used twice."""
    return ((i, frame) for i, frame in enumerate(frames) if frame.first_ext_seq > last_ext_seq)


def milliseconds(nanoseconds: int) -> int:
    """Return a time as manifests give it."""
    return round(nanoseconds / 1_000_000)


def muted_spans(timeline: Timeline, segments: Sequence[SegmentTimes], end: int) -> list[tuple[int, int]]:
    """Return the mutes of a track as (from, to) in ms; `end` (ns) limits the last."""
    changes = []
    for segment in segments:
        start = timeline.position(segment, segment.head.timestamp)
        changes.append((start, segment.head.muted))
        changes += [(timeline.instant(segment.head, line.at), line.muted) for line in segment.mutes]
    spans: list[tuple[int, int]] = []
    since: int | None = None
    for at, muted in sorted(changes, key=lambda change: change[0]):
        if muted and since is None:
            since = at
        elif not muted and since is not None:
            spans.append((max(0, since) // 1_000_000, max(0, at) // 1_000_000))
            since = None
    if since is not None and since < end:
        spans.append((max(0, since) // 1_000_000, end // 1_000_000))
    return spans


def _runs(stream: Sequence[SegmentTimes]) -> list[_Run]:
    """Split a stream's segments where its clock jumped."""
    _unwrap(stream)
    _put_on_time(stream)
    runs: list[_Run] = []
    before: SegmentTimes | None = None
    for segment in stream:
        if before is None or _jumped(before, segment):
            runs.append(_Run())
        runs[-1].segments.append(segment)
        before = segment
    return runs


def _unwrap(stream: Sequence[SegmentTimes]) -> None:
    """Set the `base` of a stream's segments."""
    for before, segment in pairwise(stream):
        behind = before.last_timestamp + before.base - segment.head.timestamp
        segment.base = (behind + (1 << 31)) >> 32 << 32


def _put_on_time(stream: Sequence[SegmentTimes]) -> None:
    """Set the `on_time` of a stream's segments: a delay may end in a later one."""
    anchors = [(timestamp + s.base, arrival) for s in stream for timestamp, arrival in s.anchors]
    punctual = iter(on_time(anchors, stream[0].head.clock_rate))
    for segment in stream:
        segment.on_time = list(islice(punctual, len(segment.anchors)))


def _jumped(before: SegmentTimes, segment: SegmentTimes) -> bool:
    (last, came), (timestamp, comes) = before.on_time[-1], segment.on_time[0]
    if timestamp < before.last_timestamp + before.base:
        return True
    media = (timestamp - last) * SECOND // segment.head.clock_rate
    return abs(media - (comes - came)) > _MAX_JUMP


def _unwrapped(line: ReportLine, segment: SegmentTimes) -> Report:
    near = segment.last_timestamp + segment.base
    difference = (line.rtp_timestamp - near) & 0xFFFFFFFF
    timestamp = near + difference - (1 << 32 if difference >= 1 << 31 else 0)
    return Report(timestamp, line.ntp * SECOND >> 32, line.arrival)
