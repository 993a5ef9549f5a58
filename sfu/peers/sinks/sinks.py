"""The sinks of a node (recorder, inference, broadcasts) and their taps.

For each purpose (for broadcasts: and room) only the newest sink is served; packets for a purpose without a sink only
go to the replay buffers. Closed taps and ended recordings are kept until they are on disk, in case the recorder is
away.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from sfu.api import sink_records
from sfu.api.signaling_values import CaptionsState
from sfu.api.sink_records import (
    AnalysisWanted,
    AnyControl,
    BroadcastEnded,
    BroadcastStarted,
    MissedRecord,
    PacketRecord,
    RecordingEnded,
    RecordingStarted,
    SenderReportRecord,
)
from sfu.engine.contract import Drop, SinkPacket
from sfu.formats.rtcp import SenderReport
from sfu.peers.context import Context
from sfu.peers.sinks import replay_buffer, sink_queue
from sfu.peers.sinks.keeping import Keeping
from sfu.peers.sinks.replay_buffer import ReplayBudget
from sfu.peers.sinks.sink_queue import SinkQueue
from sfu.peers.sinks.tap import Audience, Purpose, Tap

NO_INFERENCE = "captions unavailable: no inference process is running"
_STARTING = "captions unavailable: the inference process is starting"
_MAX_PARTED = 1000
_MAX_ENDED = 1000
_PURPOSES = {"recorder": Purpose.RECORDER, "inference": Purpose.INFERENCE, "broadcast": Purpose.BROADCAST}
_BROADCASTS = 3
"""The first version of a recorder that knows broadcasts."""
_QUEUE_BYTES = {
    Purpose.RECORDER: replay_buffer.MAX_BYTES,
    Purpose.INFERENCE: sink_queue.MAX_BYTES,
    Purpose.BROADCAST: sink_queue.MAX_BYTES // 4,
}
"""A recorder's queue has room for a complete replay. Packets are shared with the replay buffer, not copied."""


@dataclass(slots=True)
class Sink:
    """An attached sink; the owner of its socket drains `queue`."""

    number: int
    purpose: Purpose
    instance: str
    queue: SinkQueue
    room: str = ""
    version: int = 1
    superseded: bool = False


@dataclass(slots=True)
class Recording:
    """A recording that runs, or ended at `ended_at`; `kept` is set once a recorder has all of it on disk."""

    begun: RecordingStarted
    ended_at: int | None = None
    kept: bool = False


class Sinks:
    """Holds attached sinks by number, taps by handle, recordings by id."""

    def __init__(self, context: Context) -> None:
        self.attached: dict[int, Sink] = {}
        self.taps: dict[int, Tap] = {}
        self.recordings: OrderedDict[str, Recording] = OrderedDict()
        self.broadcasts: dict[str, BroadcastStarted] = {}
        self.captions = _no_inference()
        self.analysis = AnalysisWanted()
        self.replay_budget = ReplayBudget()
        self.keeping = Keeping()
        self._context = context
        self._of_stream: dict[int, list[Tap]] = {}
        self._kept: dict[tuple[str | None, str, int], list[Tap]] = {}
        self._parted: list[Tap] = []
        self._dropped_before = dict.fromkeys(Purpose, 0)

    def current(self, purpose: Purpose, room: str = "") -> Sink | None:
        """Return the sink that serves a purpose; `room` is given for that of a broadcast."""
        of_purpose = (s for s in self.attached.values() if s.purpose is purpose and s.room == room)
        return next((sink for sink in of_purpose if not sink.superseded), None)

    def dropped(self) -> dict[Purpose, int]:
        """Return the number of packets that sinks of each kind have missed while attached."""
        dropped = dict(self._dropped_before)
        for sink in self.attached.values():
            dropped[sink.purpose] += sink.queue.dropped
        return dropped

    def attach(self, hello: sink_records.SinkHello, now: int) -> Sink:
        """Attach a sink, which supersedes an earlier one of its kind; raises ValueError for an unknown kind."""
        purpose = _PURPOSES.get(hello.sink)
        if purpose is None:
            raise ValueError(f"unknown kind of sink {hello.sink!r}")
        if bool(hello.room) != (purpose is Purpose.BROADCAST):
            raise ValueError("a sink for a broadcast, and no other, is for one room")
        earlier = self.current(purpose, hello.room)
        if earlier is not None:
            earlier.superseded = True
        queue = SinkQueue(_QUEUE_BYTES[purpose])
        sink = Sink(self._context.number(), purpose, hello.instance, queue, hello.room, hello.v)
        self.attached[sink.number] = sink
        self._forget_old()
        if purpose is Purpose.RECORDER:
            self.keeping.attached(now, speaks=hello.v >= 2)
            self._catch_up(sink)
            for begun in self.broadcasts.values():
                self._tell_broadcast(begun)
            return sink
        if purpose is Purpose.INFERENCE:
            self.captions = CaptionsState(available=False, reason=_STARTING, code="starting")
            self.analysis = AnalysisWanted()
        for tap in self.taps.values():
            if tap.audience == (purpose, hello.room):
                sink.queue.put(tap.opened)
        return sink

    def detach(self, sink: Sink, now: int) -> None:
        """Note that a sink's socket has closed."""
        if self.attached.pop(sink.number, None) is not None:
            self._dropped_before[sink.purpose] += sink.queue.dropped
        if sink.purpose is Purpose.RECORDER and self.current(Purpose.RECORDER) is None:
            self.keeping.detached(now)
        if sink.purpose is Purpose.INFERENCE and self.current(Purpose.INFERENCE) is None:
            self.captions = _no_inference()
            self.analysis = AnalysisWanted()

    def _catch_up(self, sink: Sink) -> None:
        """Tell a recorder which recordings run, and send again the packets that are not on disk."""
        taps = [*self._parted, *(tap for tap in self.taps.values() if tap.purpose is Purpose.RECORDER)]
        for recording in self.recordings.values():
            if recording.kept:
                continue
            sink.queue.put(recording.begun)
            self._repeat(sink, [tap for tap in taps if tap.opened.recording == recording.begun.recording])
            if recording.ended_at is not None:
                sink.queue.put(_ended(recording.begun))

    def _repeat(self, sink: Sink, taps: list[Tap]) -> None:
        """Send the streams of a recording again, merged in order of time."""
        for tap in taps:
            sink.queue.put(msgspec.structs.replace(tap.opened, muted=tap.uptrack.is_quiet))
        kept = [tap.buffer.replay() for tap in taps if tap.buffer is not None]
        for record in heapq.merge(*kept, key=_arrival):
            self._queue(sink, record)
        for tap in taps:
            if tap.closed_reason is not None:
                self._close_on(sink, tap)

    def _queue(self, sink: Sink, record: PacketRecord | SenderReportRecord | MissedRecord) -> None:
        if not isinstance(record, PacketRecord):
            sink.queue.put(record)
        elif not sink.queue.put_packet(record):
            self._context.drops[Drop.SINK_FULL] += 1

    def _tell(self, purpose: Purpose, record: AnyControl, room: str = "") -> None:
        sink = self.current(purpose, room)
        if sink is not None:
            sink.queue.put(record)

    def _tell_broadcast(self, record: BroadcastStarted | BroadcastEnded) -> None:
        sink = self.current(Purpose.RECORDER)
        if sink is not None and sink.version >= _BROADCASTS:
            sink.queue.put(record)

    def begin_broadcast(self, begun: BroadcastStarted) -> None:
        """Have the recorder send a room out live; what was begun before is not told again."""
        if self.broadcasts.get(begun.room) != begun:
            self.broadcasts[begun.room] = begun
            self._tell_broadcast(begun)

    def end_broadcast(self, room: str, *, moved: bool = False) -> None:
        """End the broadcast of a room, if there is one."""
        begun = self.broadcasts.pop(room, None)
        if begun is not None:
            self._tell_broadcast(BroadcastEnded(broadcast=begun.broadcast, room=room, moved=moved))

    def open(self, tap: Tap) -> None:
        """Begin to copy a stream."""
        self.taps[tap.handle] = tap
        self._of_stream.setdefault(tap.stream.number, []).append(tap)
        if tap.buffer is not None:
            self._kept.setdefault(_recorded(tap.opened), []).append(tap)
        self._tell(tap.purpose, tap.opened, tap.audience[1])
        self._context.engine.add_sink_route(tap.stream.number, tap.purpose, tap.handle)

    def close(self, tap: Tap, reason: str, now: int, *, in_table: bool) -> None:
        """Stop copying a stream; `in_table` is true if the engine still has the stream."""
        if in_table:
            self._context.engine.remove_sink_route(tap.stream.number, tap.purpose)
        self.taps.pop(tap.handle, None)
        others = self._of_stream.get(tap.stream.number, [])
        others.remove(tap)
        if not others:
            del self._of_stream[tap.stream.number]
        tap.closed_reason = reason
        if tap.buffer is not None:
            self._parted.append(tap)
        sink = self.current(*tap.audience)
        if sink is not None:
            self._close_on(sink, tap)
        self._forget_old()

    def _close_on(self, sink: Sink, tap: Tap) -> None:
        sink.queue.close_handle(tap.handle)
        sink.queue.put(sink_records.TrackClosed(handle=tap.handle, reason=tap.closed_reason or ""))

    def _forget_old(self) -> None:
        wanted = [tap for tap in self._parted if self._is_wanted(tap)][-_MAX_PARTED:]
        for tap in set(self._parted).difference(wanted):
            self._forget(tap)
        self._parted = wanted
        while len(self.recordings) > _MAX_ENDED:
            oldest = next((key for key, value in self.recordings.items() if value.ended_at is not None), None)
            if oldest is None:
                break
            del self.recordings[oldest]

    def _forget(self, tap: Tap) -> None:
        if tap.buffer is not None:
            tap.buffer.close()
        of_stream = self._kept[_recorded(tap.opened)]
        of_stream.remove(tap)
        if not of_stream:
            del self._kept[_recorded(tap.opened)]

    def _is_wanted(self, tap: Tap) -> bool:
        """Return True if a closed tap may have to be sent again."""
        recording = self.recordings.get(tap.opened.recording or "")
        return recording is not None and not recording.kept and tap.buffer is not None and not tap.buffer.complete

    def recording_kept(self, name: str) -> None:
        """Note that a recorder has all of an ended recording on disk."""
        recording = self.recordings.get(name)
        if recording is not None and recording.ended_at is not None:
            recording.kept = True
            self._forget_old()

    def begin_recording(self, begun: RecordingStarted) -> bool:
        """Begin a recording; return False if it has ended here, unless its room has been placed here again since."""
        known = self.recordings.get(begun.recording)
        if known is not None and begun.placement <= known.begun.placement:
            return known.ended_at is None
        self.recordings[begun.recording] = Recording(begun)
        self._tell(Purpose.RECORDER, begun)
        return True

    def end_recording(self, recording: str, now: int) -> None:
        """End a recording whose taps are closed."""
        known = self.recordings.get(recording)
        if known is not None and known.ended_at is None:
            known.ended_at = now
            self._tell(Purpose.RECORDER, _ended(known.begun))

    def release_recording(self, recording: str) -> None:
        """Leave a recording to the node that its room has moved to; the room may come back."""
        known = self.recordings.pop(recording, None)
        if known is not None and known.ended_at is None:
            self._tell(Purpose.RECORDER, _ended(known.begun, moved=True))

    def mute_changed(self, tap: Tap, muted: bool, now: int) -> None:
        changed = sink_records.TrackMuteChanged(handle=tap.handle, muted=muted, at=now)
        self._tell(tap.purpose, changed, tap.audience[1])

    def packets(self, packets: Iterable[SinkPacket]) -> None:
        """Take the packets that the engine copied."""
        current: dict[Audience, Sink | None] = {}
        for packet in packets:
            tap = self.taps.get(packet.handle)
            if tap is None:
                continue
            record = PacketRecord(packet.handle, packet.ext_seq, packet.arrival, packet.rtp)
            tap.keep(record)
            if tap.audience not in current:
                current[tap.audience] = self.current(*tap.audience)
            sink = current[tap.audience]
            if sink is not None:
                self._queue(sink, record)
            elif tap.buffer is None:
                self._context.drops[Drop.SINK_GONE] += 1

    def sender_report(self, stream: int, report: SenderReport, arrival: int) -> None:
        """Take a sender report of a stream."""
        for tap in self._of_stream.get(stream, ()):
            record = SenderReportRecord(tap.handle, report.ssrc, report.ntp, report.rtp_timestamp, arrival)
            tap.keep(record)
            sink = self.current(*tap.audience)
            if sink is not None:
                self._queue(sink, record)

    def durable(self, record: sink_records.Durable) -> None:
        """Note up to where a recorder has a stream on disk."""
        for tap in self._kept.get(_recorded(record), ()):
            if tap.buffer is not None:
                tap.buffer.reached(record.ext_seq)


def _recorded(stream: sink_records.TrackOpened | sink_records.Durable) -> tuple[str | None, str, int]:
    """Return the key by which a recorder identifies a stream."""
    return stream.recording, stream.track, stream.ssrc


def _arrival(record: PacketRecord | SenderReportRecord | MissedRecord) -> int:
    """Return a record's time of arrival; reports of missing packets sort before packets."""
    return -1 if isinstance(record, MissedRecord) else record.arrival


def _ended(begun: RecordingStarted, *, moved: bool = False) -> RecordingEnded:
    return RecordingEnded(recording=begun.recording, room=begun.room, moved=moved, placement=begun.placement)


def _no_inference() -> CaptionsState:
    return CaptionsState(available=False, reason=NO_INFERENCE, code="no_inference")
