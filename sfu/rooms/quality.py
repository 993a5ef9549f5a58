"""Quality of each participant's media, sampled every second, reported every minute and on leaving."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sfu.api.facts import QualityMeasured, TrackQuality
from sfu.api.join_token import Source
from sfu.peers.layers.layer_options import ALL_LAYERS, name_of
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.downtrack import DownTrack
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

_TURN_NS = 100_000_000
_TURNS = 8  # until everyone in a room has been sampled once; a large room is sampled in parts
_REPORT_NS = 60_000_000_000
_SECOND = 1_000_000_000
_BROKEN_SOUND = 25  # of 256 packets: a tenth, more than decoders conceal well
_MAX_TRACKS = 100  # tracks of a participant in a report; further ones are not reported
_MS = 1_000_000
_WORSE, _BETTER = 2, 3  # consecutive samples needed for a change, one every 0.8 s
_RANKS = {"": 0, "good": 1, "poor": 2, "lost": 3}
_LOST_NS = 1_000_000_000
_STILL = (Source.SCREEN, Source.SCREEN_AUDIO)  # may send nothing for long while the picture does not change
_MUCH_LOST = 0.15  # a single sample of such a loss is enough
_LAGS = 4.0  # measured loss is an average over some seconds; at first it is lower than the reported one
_POOR, _GOOD = (0.08, 400 * _MS), (0.02, 200 * _MS)
"""The loss and round trip from which on a connection has at best this quality."""


@dataclass(slots=True)
class _Track:
    """Sums over samples of a track in one direction."""

    layer: str = ""
    samples: int = 0
    octets: float = 0.0
    loss: float = 0.0
    jitter: float = 0.0
    freezes: int = 0
    paused: int = 0
    was_frozen: bool = False
    live_since: int | None = None
    carried: int = 0

    def freeze(self, last_arrival: int, now: int, *, expected: bool) -> bool:
        """Take the time when a video last moved; return whether it is frozen: it should have moved for a second but did
        not.
        """
        if not expected:
            self.live_since = None
            self.was_frozen = False
            return False
        if self.live_since is None:
            self.live_since = now
        frozen = now - max(last_arrival, self.live_since) >= _SECOND
        self.freezes += frozen and not self.was_frozen
        self.was_frozen = frozen
        return frozen

    def result(self, track: str, direction: str, elapsed: int) -> TrackQuality:
        samples = max(self.samples, 1)
        return TrackQuality(
            track=track,
            direction=direction,
            layer=self.layer,
            bitrate=int(self.octets * 8 * _SECOND / elapsed),
            loss=round(self.loss / samples, 4),
            jitter_ms=round(self.jitter / samples, 2),
            freezes=self.freezes,
            paused=self.paused,
        )

    def begin_anew(self) -> None:
        self.samples = self.freezes = self.paused = 0
        self.octets = self.loss = self.jitter = 0.0


@dataclass(slots=True)
class _Person:
    """`round_trip` (ns) and `estimate` are the last known ones, since the peer may close before its participant
    leaves.
    """

    since: int
    sampled_at: int
    was_reported: bool = False
    round_trip: int | None = None
    estimate: int | None = None
    doubts: int = 0
    tracks: dict[tuple[str, str], _Track] = field(default_factory=dict)


class RoomQuality:
    """Quality in one room; `update` is called several times a second."""

    def __init__(self, room: Room, rests: Callable[[str], bool]) -> None:
        """`rests` returns whether a track's publisher was told that nobody watches it."""
        self._room = room
        self._rests = rests
        self._people: dict[str, _Person] = {}
        self._next = 0
        self._turn = 0

    def update(self, now: int) -> None:
        """Sample those whose turn it is, and report every minute."""
        if now < self._next:
            return
        self._next = now + _TURN_NS
        self._turn = (self._turn + 1) % _TURNS
        participants = self._room.own()
        for participant in participants[self._turn :: _TURNS]:
            person = self._people.setdefault(participant.participant, _Person(now, now))
            self._sample(person, participant, now)
            if self._room.context.pace == 1:  # else losses are the overloaded node's own
                self._judge(person, participant, now)
            if now - person.since >= _REPORT_NS:
                self._report(person, participant, now, final=False)

    def leave(self, participant: Participant, now: int) -> None:
        """Report for a participant that leaves, while its peers still exist. An attendance of less than a second is not
        reported.
        """
        person = self._people.pop(participant.participant, None)
        if person is not None and (person.was_reported or now - person.since >= _SECOND):
            self._sample(person, participant, now)
            self._report(person, participant, now, final=True)

    def _judge(self, person: _Person, participant: Participant, now: int) -> None:
        """Tell everyone a participant's connection quality once it has been different for a while."""
        is_lost = self._is_lost(participant, now)
        lost = _lost(participant)
        level = "lost" if is_lost else _level(lost, person, participant)
        person.doubts = 0 if level == participant.quality else person.doubts + 1
        is_worse = _RANKS[level] > _RANKS[participant.quality]
        is_clear = is_lost or (is_worse and lost >= _MUCH_LOST)
        if person.doubts >= (1 if is_clear else _WORSE if is_worse else _BETTER):
            person.doubts, participant.quality = 0, level
            self._room.show_changed(participant)

    def _is_lost(self, participant: Participant, now: int) -> bool:
        """Return True if nothing arrives from a participant although it publishes unmuted tracks."""
        if participant.publish is None:
            return False
        arrivals = [
            stream.last_arrival
            for uptrack in participant.publish.uptracks.values()
            if not uptrack.is_quiet and uptrack.source not in _STILL and not self._rests(uptrack.track)
            for stream in uptrack.streams
            if stream.packets
        ]
        return bool(arrivals) and now - max(arrivals) >= _LOST_NS

    def _sample(self, person: _Person, participant: Participant, now: int) -> None:
        elapsed = now - person.sampled_at
        person.sampled_at = now
        if participant.publish is not None:
            for uptrack in participant.publish.uptracks.values():
                track = _track(person, uptrack.track, "publish") if not uptrack.backup_of else None
                if track is not None:
                    _sample_published(track, uptrack, elapsed, now, rests=self._rests(uptrack.track))
        subscribe_peer = _subscribe_peer(participant)
        if subscribe_peer is None:
            return
        if subscribe_peer.round_trip.measured:
            person.round_trip = subscribe_peer.round_trip.smoothed
        if subscribe_peer.bandwidth is not None:
            person.estimate = int(subscribe_peer.bandwidth.rate)
        for downtrack in subscribe_peer.downtracks.values():
            if downtrack.uptrack is not None and downtrack.encoding is not None:
                track = _track(person, downtrack.uptrack.shown_as, "subscribe")
                if track is not None:
                    self._sample_received(track, downtrack, downtrack.uptrack, now)

    def _sample_received(self, track: _Track, downtrack: DownTrack, uptrack: UpTrack, now: int) -> None:
        state = self._room.context.engine.route_state(downtrack.route)
        track.samples += 1
        track.octets += max(0, state.octets - track.carried) if track.carried else 0
        track.carried = state.octets
        track.loss += downtrack.fraction_lost / 256
        track.jitter += downtrack.jitter / _MS
        track.paused += downtrack.paused
        if downtrack.stream is not None:
            track.layer = downtrack.layer_name
        is_live = not (uptrack.is_quiet or downtrack.paused) and downtrack.stream is not None
        is_video = downtrack.kind == "video"
        frozen = track.freeze(state.last_arrival, now, expected=is_video and is_live)
        if is_live:
            suffers = frozen or (not is_video and downtrack.fraction_lost > _BROKEN_SOUND)
            self._room.context.counters[f"{downtrack.kind}_{'bad' if suffers else 'good'}_samples"] += 1

    def _report(self, person: _Person, participant: Participant, now: int, *, final: bool) -> None:
        elapsed = max(now - person.since, 1)
        self._room.report(
            QualityMeasured(
                room=self._room.room,
                at=self._room.context.unix_ms(now),
                participant=participant.participant,
                seconds=max(1, round(elapsed / _SECOND)),
                final=final,
                round_trip_ms=round(person.round_trip / _MS, 1) if person.round_trip is not None else None,
                estimate=person.estimate,
                tracks=[
                    entry.result(track, direction, elapsed)
                    for (direction, track), entry in person.tracks.items()
                    if entry.samples
                ],
            )
        )
        person.since = now
        person.was_reported = True
        person.tracks = {key: entry for key, entry in person.tracks.items() if entry.samples}
        for entry in person.tracks.values():
            entry.begin_anew()


def _track(person: _Person, track: str, direction: str) -> _Track | None:
    known = person.tracks.get((direction, track))
    if known is None and len(person.tracks) < _MAX_TRACKS:
        known = person.tracks[direction, track] = _Track()
    return known


def _sample_published(track: _Track, uptrack: UpTrack, elapsed: int, now: int, *, rests: bool) -> None:
    flowing = [stream for stream in uptrack.streams if stream.active(now)]
    track.samples += 1
    track.octets += sum(stream.bits_per_second for stream in flowing) * elapsed / (8 * _SECOND)
    if flowing:
        best = max(flowing, key=lambda stream: stream.bits_per_second)
        track.layer = f"{best.rid} {name_of(uptrack.layers, ALL_LAYERS)}".strip()
        track.loss += sum(stream.fraction_lost for stream in flowing) / len(flowing) / 256
        track.jitter += best.jitter / _MS
    is_live = not (uptrack.is_audio or uptrack.is_quiet or rests) and bool(uptrack.streams)
    track.freeze(max((stream.last_arrival for stream in uptrack.streams), default=0), now, expected=is_live)


def _subscribe_peer(participant: Participant) -> SubscribePeer | None:
    holder = participant.subscription or participant.whep_player
    return holder.subscribe_peer if holder is not None else None


def _level(lost: float, person: _Person, participant: Participant) -> str:
    """Return the quality of a connection by its current loss, its round trip, and whether it is too slow for a
    camera.
    """
    if participant.publish is not None and any(one.too_slow for one in participant.publish.uptracks.values()):
        return "poor"
    for level, (loss, round_trip) in (("poor", _POOR), ("good", _GOOD)):
        if lost >= loss or (person.round_trip or 0) >= round_trip:
            return level
    return ""


def _lost(participant: Participant) -> float:
    """Return the share of packets that a participant's connection loses now, in the worse direction."""
    lost = 0.0
    if participant.publish is not None:
        for uptrack in participant.publish.uptracks.values():
            lost = max([lost, *(stream.fraction_lost / 256 for stream in uptrack.streams)])
    subscribe_peer = _subscribe_peer(participant)
    return max(lost, _lost_on_the_way(subscribe_peer)) if subscribe_peer is not None else lost


def _lost_on_the_way(subscribe_peer: SubscribePeer) -> float:
    """Return the share of packets lost between the server and a subscriber. Its reports also count what a publisher's
    link has lost, which feedback about packets does not.
    """
    tracks = subscribe_peer.downtracks.values()
    reported = max((one.fraction_lost / 256 for one in tracks if one.uptrack is not None), default=0.0)
    bandwidth = subscribe_peer.bandwidth
    measured = bandwidth.link_loss if bandwidth is not None else None
    return reported if measured is None else min(reported, _LAGS * measured)
