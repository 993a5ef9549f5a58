"""Messages from sinks: keyframe requests, what is on disk, captions."""

from collections.abc import Mapping

from sfu.api import signaling, signaling_values
from sfu.api.sink_records import (
    AnalysisWanted,
    AnyRecord,
    CaptionRecord,
    CaptionsAvailable,
    Durable,
    KeyframeWanted,
    RecorderState,
    RecordingKept,
)
from sfu.peers.sinks.sinks import Sink, Sinks
from sfu.peers.sinks.tap import Purpose
from sfu.rooms.live_room import LiveRoom

_CAPTION_VERSION = 1


class SinkControl:
    """Passes sinks' records to the rooms that they concern."""

    def __init__(self, sinks: Sinks, rooms: Mapping[str, LiveRoom]) -> None:
        self._sinks = sinks
        self._rooms = rooms

    def handle(self, sink: Sink, record: AnyRecord, now: int) -> None:
        """Take a record from an attached sink; raises ValueError for one that its kind of sink may not send."""
        if sink.superseded:
            return
        if isinstance(record, KeyframeWanted):
            self._keyframe(record, sink, now)
        elif isinstance(record, Durable) and sink.purpose is Purpose.RECORDER:
            self._sinks.durable(record)
        elif isinstance(record, RecorderState) and sink.purpose is Purpose.RECORDER:
            self._sinks.keeping.heard(record.stalled, now)
        elif isinstance(record, RecordingKept) and sink.purpose is Purpose.RECORDER:
            self._sinks.recording_kept(record.recording)
        elif isinstance(record, CaptionRecord) and sink.purpose is Purpose.INFERENCE:
            self._caption(record, now)
        elif isinstance(record, CaptionsAvailable) and sink.purpose is Purpose.INFERENCE:
            self._sinks.captions = signaling_values.CaptionsState(
                available=record.available, reason=record.reason, code=record.code
            )
            self.sinks_changed(now)
        elif isinstance(record, AnalysisWanted) and sink.purpose is Purpose.INFERENCE:
            self._sinks.analysis = record
            self.sinks_changed(now)
        else:
            raise ValueError(f"a {sink.purpose.name.lower()} may not send {type(record).__name__}")

    def _keyframe(self, record: KeyframeWanted, sink: Sink, now: int) -> None:
        tap = self._sinks.taps.get(record.handle)
        if tap is None or tap.audience != (sink.purpose, sink.room):
            return
        room = self._rooms.get(tap.opened.room)
        if room is not None:
            room.request_keyframe(tap.uptrack, tap.stream, now)

    def _caption(self, record: CaptionRecord, now: int) -> None:
        room = self._rooms.get(record.room)
        participant = room.participants.get(record.participant) if room is not None else None
        if room is None or participant is None or not participant.consents.captions:
            return
        caption = signaling.Caption(
            v=_CAPTION_VERSION,
            meeting=record.room,
            participant=record.participant,
            track=record.track,
            utterance=record.utterance,
            rev=record.rev,
            final=record.final,
            start_ms=record.start_ms,
            end_ms=record.end_ms,
            lang=record.lang,
            text=record.text,
            model=record.model,
        )
        room.captions.add(caption, now)
        room.broadcast(caption)
        room.relay(caption)

    def sinks_changed(self, now: int) -> None:
        """Note that a sink attached or detached, or that its abilities changed."""
        for room in self._rooms.values():
            room.taps.update(now)
