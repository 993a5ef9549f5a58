"""Capture of one attachment to the sfu: takes sink records, writes files and replies. It has no socket and no task."""

import logging
import time

from recorder import layout, metrics
from recorder.config import RecorderConfig
from recorder.container_header import recordable
from recorder.durability import Durability
from recorder.recordings import OldPlacement, Recording, Recordings
from recorder.recovery import StreamId
from recorder.segment_policy import CutTimes
from recorder.stream_capture import SegmentNumbers, StreamCapture
from recorder.trouble import SILENT
from sfu.api.sink_records import (
    AnyRecord,
    KeyframeWanted,
    MissedRecord,
    PacketRecord,
    RecordingEnded,
    RecordingStarted,
    SenderReportRecord,
    TrackClosed,
    TrackMuteChanged,
    TrackOpened,
)
from sfu.formats.codecs import Codec

_log = logging.getLogger(__name__)

MAX_STREAMS = 4096


class Capture:
    """Routes records to streams. `wall` is CLOCK_MONOTONIC in ns. `version` is the sfu's version of the protocol."""

    def __init__(self, config: RecorderConfig, recordings: Recordings, durability: Durability) -> None:
        self._recordings = recordings
        self._durability = durability
        self._times = CutTimes(int(config.cut_after_seconds * 1e9), int(config.ask_after_seconds * 1e9))
        self._max_wait = config.repair_wait_ms * 1_000_000
        self._streams: dict[int, StreamCapture] = {}
        self._open: dict[str, Recording] = {}
        self._numbers: dict[tuple[str, str], SegmentNumbers] = {}
        self._begun: list[Recording] = []
        self._changed: set[StreamCapture] = set()
        self.version = 1

    @property
    def is_open(self) -> bool:
        """True while a recording is captured here."""
        return bool(self._open)

    def take(self, record: AnyRecord, wall: int) -> None:
        """Process a record."""
        match record:
            case PacketRecord():
                self._packet(record, wall)
            case SenderReportRecord() | MissedRecord() | TrackMuteChanged():
                self._about_stream(record)
            case TrackOpened():
                self._open_stream(record)
            case TrackClosed():
                self._close_stream(record.handle, record.reason or "closed")
            case RecordingStarted():
                self.version = record.v
                self._begin(record)
            case RecordingEnded():
                if record.moved:
                    self._release(record.recording)
                elif self._recordings.may_end(record, self):
                    self.end(record.recording)
                else:
                    self._part(record.recording)
            case _:
                metrics.DROPPED_RECORDS.labels("not_for_recorders").inc()

    def take_begun(self) -> list[Recording]:
        """Return the recordings that are new since the last call."""
        begun, self._begun = self._begun, []
        return begun

    def pass_on(self) -> None:
        """Pass what was written since the last call to be made durable: after each batch of records."""
        for stream in self._changed:
            self._collect(stream)
        self._changed.clear()

    def tick(self, wall: int) -> list[KeyframeWanted]:
        """Do due work, about ten times a second; return the keyframes to request."""
        for name in [name for name, recording in self._open.items() if self not in recording.holders]:
            self._let_go(name)  # another node has its room now
        wanted = [KeyframeWanted(handle=handle) for handle, s in self._streams.items() if s.tick(wall)]
        for stream in self._streams.values():
            self._collect(stream)
        return wanted

    def troubles(self, now: int) -> dict[str, str]:
        """Return the recordings captured here that are stalled, each with the reason."""
        silent = self._durability.silent(now)
        found = {
            name: SILENT if recording in silent else recording.trouble.reason(now)
            for name, recording in self._open.items()
        }
        return {name: reason for name, reason in found.items() if reason}

    def end(self, name: str, abandoned: bool = False) -> None:
        """Seal a recording, and queue it for finishing once it is on disk."""
        for handle in [h for h, stream in self._streams.items() if stream.opened.recording == name]:
            self._close_stream(handle, "stopped")
        self._open.pop(name, None)
        recording = self._recordings.end(name, abandoned)
        if recording is not None:
            self._durability.add_document(recording)
            self._durability.end(recording)

    def _part(self, name: str) -> None:
        """Seal the capture from a node that has ended a recording that other nodes continue."""
        if name in self._open:
            self._let_go(name)
            self._recordings.part(name, self)

    def _release(self, name: str) -> None:
        """Seal the capture of a room that has moved; the recording continues elsewhere."""
        self._let_go(name)
        self._recordings.release(name, self)

    def _let_go(self, name: str) -> None:
        for handle in [h for h, stream in self._streams.items() if stream.opened.recording == name]:
            self._close_stream(handle, "moved")
        self._open.pop(name, None)

    def close(self) -> None:
        """Close every stream at the end of the attachment; recordings wait for the next one."""
        for handle in list(self._streams):
            self._close_stream(handle, "")
        self._open.clear()
        self._recordings.detach(self)

    def _packet(self, record: PacketRecord, wall: int) -> None:
        stream = self._streams.get(record.handle)
        if stream is None:
            metrics.DROPPED_RECORDS.labels("unknown_handle").inc()
            return
        stream.packet(record, wall)
        if stream.changes or stream.problems:
            self._changed.add(stream)

    def _about_stream(self, record: SenderReportRecord | MissedRecord | TrackMuteChanged) -> None:
        stream = self._streams.get(record.handle)
        if stream is None:
            metrics.DROPPED_RECORDS.labels("unknown_handle").inc()
        elif isinstance(record, SenderReportRecord):
            stream.report(record)
        elif isinstance(record, MissedRecord):
            stream.missed(record)
            self._collect(stream)
        else:
            stream.mute(record)

    def _begin(self, begun: RecordingStarted) -> None:
        running = self._open.get(begun.recording)
        if running is not None and begun.placement <= running.info.placement:
            return
        try:
            recording, is_new = self._recordings.begin(begun, self)
        except OldPlacement as error:
            _log.info("ignored the node's recording: %s", error)
            metrics.DROPPED_RECORDS.labels("old_placement").inc()
            return
        except ValueError as error:
            _log.error("recording refused: %s", error)
            metrics.DROPPED_RECORDS.labels("bad_recording").inc()
            return
        self._open[begun.recording] = recording
        self._durability.add_document(recording)
        if is_new:
            self._begun.append(recording)

    def _open_stream(self, opened: TrackOpened) -> None:
        recording = self._open.get(opened.recording or "")
        codec = Codec.__members__.get(opened.codec.upper())
        if recording is None or codec is None or not recordable(codec) or len(self._streams) >= MAX_STREAMS:
            _log.warning("track %s (%s) is not recorded", opened.track, opened.codec)
            metrics.DROPPED_RECORDS.labels("not_recordable").inc()
            if recording is not None:
                recording.problems += 1
            return
        try:
            directory = layout.track_dir(self._recordings.root, opened.recording or "", opened.track)
        except ValueError as error:
            _log.error("track refused: %s", error)
            metrics.DROPPED_RECORDS.labels("bad_track").inc()
            return
        self._close_stream(opened.handle, "replaced")
        resume = recording.resume.get(StreamId(opened.track, opened.opened_at, opened.ssrc))
        if resume is not None and resume.head.codec != codec.name.lower():
            resume = None
        numbers = self._numbers.setdefault((recording.info.recording, opened.track), SegmentNumbers())
        self._streams[opened.handle] = StreamCapture(
            opened,
            codec,
            directory=directory,
            epoch=recording.epoch,
            next_n=numbers,
            resume=resume,
            times=self._times,
            max_wait=self._max_wait,
            files=recording.files,
        )
        metrics.STREAMS.set(len(self._streams))

    def _close_stream(self, handle: int, reason: str) -> None:
        stream = self._streams.pop(handle, None)
        if stream is None:
            return
        stream.close(reason)
        self._collect(stream)
        recording = self._open.get(stream.opened.recording or "")
        point = stream.resume_point()
        if recording is not None and point is not None:
            recording.resume[stream.stream_id] = point
        metrics.STREAMS.set(len(self._streams))

    def _collect(self, stream: StreamCapture) -> None:
        recording = self._open.get(stream.opened.recording or "")
        if recording is None:
            return
        if stream.changes:
            self._durability.add(stream.opened, recording, stream.changes)
            stream.changes.clear()
        recording.problems += stream.problems
        if stream.refusal:
            recording.trouble.refused(stream.refusal, time.monotonic_ns())
        stream.problems, stream.refusal = 0, ""
