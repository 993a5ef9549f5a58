"""Taps of one room, derived from consents and the desired state.

A tap exists only while its participant consents. End-to-end encrypted rooms have none. If another layer of a video is
to be stored or broadcast, both are copied until a keyframe of the other has arrived, so that no picture is missing.
"""

from dataclasses import dataclass

from sfu.api import facts, signaling, signaling_values
from sfu.api.desired_state import DesiredBroadcast, DesiredRecording
from sfu.api.join_token import Source
from sfu.api.sink_records import VERSION, BroadcastStarted, RecordingStarted, TrackOpened
from sfu.peers.layers.layer_choice import choose_layer, choose_smallest
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.uptrack import CODEC_NAMES, UpTrack
from sfu.peers.sinks.keeping import code_of
from sfu.peers.sinks.sinks import Sinks
from sfu.peers.sinks.tap import Purpose, Tap
from sfu.rooms.room import Room

_E2EE = "captions unavailable: this meeting is end-to-end encrypted"
_OFF = "captions are switched off in this meeting"
_CAPTIONS = "captions"
_ANALYSIS = "analysis"
_ANALYSED = frozenset((Source.MICROPHONE, Source.CAMERA))
MOVED = "moved"
_REPLACED = "replaced"
_REPAIR_NS = 1_000_000_000
"""The time after the first packet of a keyframe within which the rest is repaired, or never."""
_Key = tuple[Purpose, str]


@dataclass(slots=True)
class _Following:
    """A tap of another layer, opened at a time in ns, which replaces the present one once it can be decoded."""

    tap: Tap
    opened_at: int
    keyframe_at: int | None = None

    def is_decodable(self, now: int) -> bool:
        """Return True if a keyframe has arrived, including what was repaired. Called at least every second."""
        latest = self.tap.stream.keyframe_at
        if self.keyframe_at is None and latest >= self.opened_at:
            self.keyframe_at = latest
        return self.keyframe_at is not None and now - self.keyframe_at >= _REPAIR_NS


class RoomTaps:
    """Taps by purpose and track.

    `moved`: the room was given up here and continues on another node, or on this one after a restart.
    """

    def __init__(self, room: Room, sinks: Sinks) -> None:
        self.recording: DesiredRecording | None = None
        self._broadcast: DesiredBroadcast | None = None
        self._room = room
        self._sinks = sinks
        self._recording_since = 0
        self._stalled = ""
        self._taps: dict[_Key, Tap] = {}
        self._following: dict[_Key, _Following] = {}
        self._told_captions = self.captions_state()
        self._told_recording = self.recording_state()
        self._is_over = False
        self.moved = False

    def recording_state(self) -> signaling_values.RecordingState:
        """Return the state of the recording, for participants."""
        desired = self._room.desired
        consent = desired.consent if desired is not None else "ask"
        since = self._broadcast.started_at if self._broadcast is not None else None
        if self.recording is None:
            return signaling_values.RecordingState(active=False, consent=consent, broadcast_since=since)
        return signaling_values.RecordingState(
            active=True,
            recording=self.recording.recording,
            started_at=self.recording.started_at,
            text=self.recording.consent_text,
            consent=consent,
            stalled=self._stalled or None,
            stalled_code=code_of(self._stalled) if self._stalled else "",
            broadcast_since=since,
        )

    @property
    def is_stalled(self) -> bool:
        """True if the room is being recorded, but not stored at the moment."""
        return bool(self._stalled)

    def captions_state(self) -> signaling_values.CaptionsState:
        """Return the availability of captions, for participants."""
        desired = self._room.desired
        if desired is not None and desired.e2ee:
            return signaling_values.CaptionsState(available=False, reason=_E2EE, code="e2ee")
        if desired is not None and not desired.captions:
            return signaling_values.CaptionsState(available=False, reason=_OFF, code="off")
        return self._sinks.captions

    def has(self, uptrack: UpTrack) -> bool:
        """Return True if a sink takes the track."""
        return any((purpose, uptrack.track) in self._taps for purpose in Purpose)

    def update(self, now: int) -> None:
        """Open and close taps according to desired state, consents, tracks and sinks; participants are told first."""
        if self._is_over:  # while the room empties, nothing begins again
            return
        self._update_broadcast()
        self._update_recording(now)
        self._tell_captions()
        wanted = self._wanted(now)
        for key, tap in list(self._taps.items()):
            if key not in wanted:
                self._close(key, self._why_closed(tap), now)
            elif key[0] is Purpose.INFERENCE and wanted[key][1] is not tap.stream:
                self._close(key, _REPLACED, now)
            elif key[0] is Purpose.INFERENCE and self._uses(tap.uptrack) != tap.opened.uses:
                self._close(key, self._why_reopened(tap), now)
        self._tell_recorded(frozenset(up.participant for key, (up, _) in wanted.items() if key[0] is Purpose.RECORDER))
        for key, (uptrack, stream) in wanted.items():
            if key in self._taps:
                self._follow(key, stream, now)
            else:
                self._taps[key] = self._open(key[0], uptrack, stream)

    def follow(self, uptrack: UpTrack, now: int) -> None:
        """Copy other layers of a video if those that are copied have stalled."""
        for purpose in (Purpose.RECORDER, Purpose.BROADCAST):
            key = purpose, uptrack.track
            tap = self._taps.get(key)
            stream = choose_layer(uptrack.streams, tap.stream, now) if tap is not None else None
            if stream is not None:
                self._follow(key, stream, now)

    def _follow(self, key: _Key, stream: IngressStream, now: int) -> None:
        """Copy this stream of a track; until it can be decoded, also the one before it."""
        tap, following = self._taps[key], self._following.get(key)
        if following is not None and following.tap.stream is not stream:
            self._shut(self._following.pop(key).tap, _REPLACED, now)
            following = None
        if stream is tap.stream:
            return
        if following is None:
            following = self._following[key] = _Following(self._open(key[0], tap.uptrack, stream), now)
            self._room.request_keyframe(tap.uptrack, stream, now)
        if tap.uptrack.is_audio or tap.stream not in tap.uptrack.streams or following.is_decodable(now):
            self._shut(tap, _REPLACED, now)
            self._taps[key] = self._following.pop(key).tap

    def _open(self, purpose: Purpose, uptrack: UpTrack, stream: IngressStream) -> Tap:
        tap = Tap(purpose, self._opened(purpose, uptrack, stream), uptrack, stream, self._sinks.replay_budget)
        self._sinks.open(tap)
        return tap

    def _wanted(self, now: int) -> dict[_Key, tuple[UpTrack, IngressStream]]:
        wanted: dict[_Key, tuple[UpTrack, IngressStream]] = {}
        if (self._room.desired is not None and self._room.desired.e2ee) or not self._may_take():
            return wanted
        for uptrack in self._room.uptracks.values():
            participant = self._room.participants.get(uptrack.participant)
            if participant is None:
                continue
            if participant.consents.recording and self.recording is not None:
                self._want(wanted, Purpose.RECORDER, uptrack, now)
            if participant.consents.recording and self._goes_out():
                self._want(wanted, Purpose.BROADCAST, uptrack, now)
            if self._uses(uptrack):
                self._want(wanted, Purpose.INFERENCE, uptrack, now)
        return wanted

    def _may_take(self) -> bool:
        """Return True if any sink may take any track; in most rooms none does."""
        analysis = self._sinks.analysis
        if self.recording is not None or self._goes_out():
            return True
        return analysis.audio or analysis.video or self.captions_state().available

    def _goes_out(self) -> bool:
        """Return True if the room is broadcast, and the process that does it is there."""
        return self._broadcast is not None and self._sinks.current(Purpose.BROADCAST, self._room.room) is not None

    def _uses(self, uptrack: UpTrack) -> tuple[str, ...]:
        """Return the uses of a track that inference is allowed and able to make."""
        participant = self._room.participants.get(uptrack.participant)
        if participant is None:
            return ()
        uses = []
        if participant.consents.captions and uptrack.source is Source.MICROPHONE and self.captions_state().available:
            uses.append(_CAPTIONS)
        wanted = self._sinks.analysis.audio if uptrack.is_audio else self._sinks.analysis.video
        if participant.consents.analysis and wanted and uptrack.source in _ANALYSED:
            uses.append(_ANALYSIS)
        return tuple(uses)

    def _want(
        self, wanted: dict[_Key, tuple[UpTrack, IngressStream]], purpose: Purpose, uptrack: UpTrack, now: int
    ) -> None:
        tap = self._taps.get((purpose, uptrack.track))
        current = tap.stream if tap is not None else None
        if purpose is Purpose.INFERENCE and not uptrack.is_audio:
            stream = choose_smallest(uptrack.streams, current, now)
        else:
            stream = choose_layer(uptrack.streams, current, now)
        if stream is not None:
            wanted[purpose, uptrack.track] = (uptrack, stream)

    def _update_broadcast(self) -> None:
        """Begin or end the broadcast; _update_recording tells everyone."""
        desired, room = self._room.desired, self._room.room
        may = desired is not None and not desired.e2ee and not desired.ended
        self._broadcast = desired.broadcast if desired is not None and may else None
        if self._broadcast is None:
            self._sinks.end_broadcast(room)
        else:
            broadcast = self._broadcast.broadcast
            self._sinks.begin_broadcast(BroadcastStarted(broadcast=broadcast, room=room, placement=self._room.epoch))

    def _update_recording(self, now: int) -> None:
        desired = self._room.desired
        recording = desired.recording if desired is not None and not desired.e2ee and not desired.ended else None
        if recording is not None and not self._sinks.begin_recording(self._begun(recording)):
            recording = None
        if recording != self.recording:
            self.end_recording("stopped", now)
            self.recording, self._recording_since = recording, now
        self._tell_recording()

    def _tell_recording(self) -> None:
        state = self.recording_state()
        if state != self._told_recording:
            self._told_recording = state
            self._room.broadcast(signaling.RecordingChanged(state=state))

    def check_recording(self, now: int) -> None:
        """Tell everyone, and control, that a recording is no longer being stored, or is again."""
        if self.recording is None:
            return
        name = self.recording.recording
        stalled = self._sinks.keeping.stalled(name, self._recording_since, now)
        if stalled == self._stalled:
            return
        self._stalled = stalled
        room, at = self._room.room, self._room.context.unix_ms(now)
        fact = (
            facts.RecordingStalled(room=room, at=at, recording=name, reason=stalled)
            if stalled
            else facts.RecordingResumed(room=room, at=at, recording=name)
        )
        self._room.report(fact)
        self._tell_recording()

    def end_recording(self, reason: str, now: int) -> None:
        """Close the taps of the running recording, if any, and end it."""
        if self.recording is not None:
            for key in [key for key in self._taps if key[0] is Purpose.RECORDER]:
                self._close(key, reason, now)
            if reason == MOVED:
                self._sinks.release_recording(self.recording.recording)
            else:
                self._sinks.end_recording(self.recording.recording, now)
            self.recording, self._stalled = None, ""

    def close(self, reason: str, now: int) -> None:
        """Close everything, since the room is over."""
        self._is_over = True
        self.moved = self.moved or reason == MOVED
        self.end_recording(reason, now)
        self._broadcast = None
        self._sinks.end_broadcast(self._room.room, moved=reason == MOVED)
        for key in list(self._taps):
            self._close(key, reason, now)

    def stream_gone(self, uptrack: UpTrack, now: int) -> None:
        """Close an uptrack's taps before its streams leave the engine's table."""
        for purpose in Purpose:
            if (purpose, uptrack.track) in self._taps:
                self._close((purpose, uptrack.track), "unpublished", now)

    def _close(self, key: _Key, reason: str, now: int) -> None:
        for tap in self._of(key):
            self._shut(tap, reason, now)
        del self._taps[key]
        self._following.pop(key, None)

    def _shut(self, tap: Tap, reason: str, now: int) -> None:
        self._sinks.close(tap, reason, now, in_table=tap.stream in tap.uptrack.streams)

    def _of(self, key: _Key) -> list[Tap]:
        following = self._following.get(key)
        return [*([self._taps[key]] if key in self._taps else ()), *([following.tap] if following is not None else ())]

    def _why_closed(self, tap: Tap) -> str:
        uptrack = tap.uptrack
        if uptrack.participant not in self._room.participants:
            return "left"
        if uptrack.track not in self._room.uptracks:
            return "unpublished"
        return "consent"

    def _why_reopened(self, tap: Tap) -> str:
        """Return the reason for replacing a tap by one with other uses. Only withdrawn consent to captions drops
        unfinished words.
        """
        withdrawn = _CAPTIONS in tap.opened.uses and _CAPTIONS not in self._uses(tap.uptrack)
        return "consent" if withdrawn else _REPLACED

    def _tell_recorded(self, recorded: frozenset[str]) -> None:
        changed = recorded ^ self._room.recorded
        self._room.recorded = recorded
        for participant in changed & self._room.participants.keys():
            self._room.broadcast(
                signaling.ParticipantUpdated(participant=self._room.info(self._room.participants[participant]))
            )

    def _tell_captions(self) -> None:
        state = self.captions_state()
        if state != self._told_captions:
            self._told_captions = state
            self._room.broadcast(signaling.CaptionsChanged(state=state))

    def mute_changed(self, uptrack: UpTrack, now: int) -> None:
        """Tell sinks that a track was muted or unmuted."""
        for purpose in Purpose:
            for tap in self._of((purpose, uptrack.track)):
                self._sinks.mute_changed(tap, uptrack.is_quiet, now)

    def _begun(self, recording: DesiredRecording) -> RecordingStarted:
        return RecordingStarted(
            recording=recording.recording,
            room=self._room.room,
            started_unix_ms=recording.started_at,
            opened_at=self._room.opened_at,
            opened_unix_ms=self._room.opened_unix_ms,
            placement=self._room.epoch,
            v=VERSION,
        )

    def _opened(self, purpose: Purpose, uptrack: UpTrack, stream: IngressStream) -> TrackOpened:
        participant = self._room.participants[uptrack.participant]
        recorded = self.recording is not None and purpose is Purpose.RECORDER
        return TrackOpened(
            handle=self._room.context.number(),
            room=self._room.room,
            participant=participant.participant,
            name=participant.name,
            track=uptrack.track,
            source=uptrack.source.value,
            media="audio" if uptrack.is_audio else "video",
            codec=CODEC_NAMES[uptrack.codec],
            clock_rate=uptrack.payload.clock_rate,
            ssrc=stream.ssrc,
            opened_at=self._room.opened_at,
            opened_unix_ms=self._room.opened_unix_ms,
            channels=uptrack.payload.channels,
            fmtp=uptrack.fmtp,
            recording=self.recording.recording if self.recording is not None and recorded else None,
            muted=uptrack.is_quiet,
            traceparent=participant.traceparent,
            uses=self._uses(uptrack) if purpose is Purpose.INFERENCE else (),
        )
