"""All rooms of one sfu process, without I/O. Input is passed to the rooms and peers concerned; output goes to the
context's outbox. Every public method settles: afterwards timers and the outbox are up to date. Only work from media and
timers can wait: `put` and `wake` queue it in order, and `work` does a little of it.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, islice
from typing import NamedTuple

import msgspec

from sfu.api import facts, signaling
from sfu.api.cascade_link import LinkMessage
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import JoinClaims
from sfu.api.placement import Placement
from sfu.api.refusal import Code, Refused
from sfu.api.registration import MOVING_SECONDS
from sfu.api.room_acts import Act
from sfu.api.session_paths import Role
from sfu.engine.contract import Leftover, Result
from sfu.flight import notes as flight_notes
from sfu.flight.recorder import Kind
from sfu.formats.codecs import Codec
from sfu.machines.shedding import NOTHING, Shed
from sfu.peers.coalescing import coalesce_nearest
from sfu.peers.context import Context
from sfu.peers.data_channels import DataItem
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.peers.outbox import Failure, SessionClose
from sfu.peers.sinks.sinks import Sinks
from sfu.rooms import (
    acts,
    consent_policy,
    consenting,
    desired_state,
    distribution,
    emptiness,
    membership,
    notices,
    publishing,
    rationing,
    settling,
    signaling_dispatch,
    standalone,
    taps,
)
from sfu.rooms.adaptation import AdaptationKey
from sfu.rooms.cascade_link import CascadeLink, close_links
from sfu.rooms.dialect import Dialect
from sfu.rooms.incoming import CoalescingKey, Incoming
from sfu.rooms.live_room import LiveRoom, RoomKey
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import PeerIndex
from sfu.rooms.settling import PeerKey
from sfu.rooms.sink_control import SinkControl
from sfu.rooms.transcoding import Transcoding

_TICK_NS = 200_000_000
_STILL_TICK_NS = 1_000_000_000
_IDLE_TICK_NS = 5_000_000_000
_SILENT_NS = 2_000_000_000
_LAYERS_EVERY_TICKS = 5
_DUMPED_AT_FAULT = 8
_KEYS_A_TURN = 1


class Membership(NamedTuple):
    """A participant in its room."""

    room: LiveRoom
    participant: Participant


class Home(NamedTuple):
    """The node that a room was placed on, and the URL of its HTTP."""

    node: str
    url: str


class MovedKey(NamedTuple):
    """The place in the schedule of a room that has moved."""

    number: int


class Node:
    """Rooms by id, peers, sessions and sinks. `homes` holds the homes of rooms of which this is a secondary node."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rooms: dict[str, LiveRoom] = {}
        self.peers: PeerIndex[LiveRoom] = PeerIndex()
        self.sinks = Sinks(context)
        self.transcoding = Transcoding(context, self.peers)
        self.sink_control = SinkControl(self.sinks, self.rooms)
        self.links: dict[int, CascadeLink] = {}
        self.homes: dict[str, Home] = {}
        self._incoming = Incoming(context, self.peers, self.sinks, self.transcoding)
        self._memberships: dict[int, Membership] = {}
        self._ticks: dict[str, int] = {}
        self._moved: dict[int, LiveRoom] = {}  # rooms that have moved, whose media still flows here
        self._shed = NOTHING
        self._turns: dict[Hashable, int] = {}  # keys that wait for a turn, in order, with their times of arrival
        self._first: dict[Hashable, int] = {}  # keys whose turn comes before all others

    # Sessions

    def join(
        self,
        claims: JoinClaims,
        session: int | None,
        now: int,
        *,
        plain: bool = False,
        desired: DesiredState | None = None,
        dialect: Dialect | None = None,
        takes_all: bool = True,
    ) -> Membership:
        """Admit a participant, on a signaling session or without one (`plain`: on plain transports); raises Refused.

        `desired` is the desired state of the room, which may not be live yet. `dialect` is that of a client of another
        protocol; without `takes_all` the client gets only the tracks that it asks for.
        """
        room = self._room_of(claims, now)
        try:
            if desired is not None:
                self._govern(room, desired, now)
            participant = membership.join(room, claims, session, now)
        except Refused:
            self.close_if_empty(room, now)
            raise
        joined = Membership(room, participant)
        participant.plain = plain
        participant.dialect, participant.takes_all = dialect, takes_all
        room.visited = room.visited or emptiness.is_person(participant)
        if session is not None:
            self._memberships[session] = joined
            membership.welcome(room, participant, now, resumed=False)
        if not plain:
            notices.begin_for(room, participant, now)
        self.settle(now)
        return joined

    def resume(self, secret: str, session: int, now: int) -> Membership:
        """Give this session to a participant that lost its own; raises Refused."""
        for room in self.rooms.values():
            for participant in room.participants.values():
                if participant.signaled and participant.resumes_with(secret):
                    membership.resume(room, participant, session, now)
                    self._memberships[session] = Membership(room, participant)
                    membership.welcome(room, participant, now, resumed=True)
                    self.settle(now)
                    return self._memberships[session]
        raise Refused(Code.UNKNOWN_SESSION, "There is nothing to resume; join again.", fatal=True)

    def handle(self, session: int, message: signaling.ClientMessage, now: int) -> None:
        """Take a message from a joined session; raises Refused."""
        joined = self._memberships.get(session)
        if joined is None or joined.participant.session != session:
            raise Refused(Code.UNKNOWN_SESSION, "This session has ended.", fatal=True)
        joined.participant.heard_at = now
        if not isinstance(message, signaling.Ping):
            joined.room.flight.note(
                now, Kind.CLIENT_SAID, joined.participant.participant, flight_notes.message(message)
            )
        try:
            signaling_dispatch.handle(joined.room, joined.participant, message, now)
        finally:
            self.close_if_empty(joined.room, now)
            self.settle(now)

    def told(self, to_sessions: Iterable[tuple[int, signaling.Message] | SessionClose], now: int) -> None:
        """Record messages to sessions in the rooms' flight recorders; a message to many in a room is recorded once."""
        kept: set[tuple[str, int]] = set()
        for item in to_sessions:
            joined = self._memberships.get(item[0])
            if joined is None or isinstance(item[1], signaling.Pong):
                continue
            said = item[1]
            about = (joined.room.room, id(said))
            if isinstance(said, signaling.Message) and about not in kept:
                kept.add(about)
                joined.room.flight.note(
                    now, Kind.SERVER_SAID, joined.participant.participant, flight_notes.message(said)
                )

    def say_data(self, session: int, messages: Iterable[bytes], now: int) -> None:
        """Send messages, in the client's format, over the reliable data channel of a session's participant."""
        joined = self._memberships.get(session)
        if joined is not None and joined.participant.subscription is not None:
            peer = joined.participant.subscription.subscribe_peer
            for message in messages:
                self.context.counters[peer.send_data(DataItem(message, True), now).value] += 1
            joined.room.touch(peer.peer.number)
            self.settle(now)

    def session_lost(self, session: int, now: int) -> None:
        """Note that a session's socket has closed."""
        joined = self._memberships.pop(session, None)
        if joined is not None and joined.participant.session == session:
            membership.session_lost(joined.room, joined.participant, now)
            self.settle(now)

    def leave(self, joined: Membership, reason: str, now: int) -> None:
        """Remove a participant at its own request (WHIP, WHEP: DELETE)."""
        if joined.room.participants.get(joined.participant.participant) is joined.participant:
            membership.leave(joined.room, joined.participant, reason, now)
            self.close_if_empty(joined.room, now)
        self.settle(now)

    def stand_alone(
        self,
        claims: JoinClaims,
        role: Role,
        sdp: str,
        consent: signaling.Consent,
        now: int,
        *,
        desired: DesiredState | None = None,
        codec: Codec | None = None,
    ) -> tuple[Membership, str]:
        """Admit a WHIP publisher or a WHEP player; returns the membership and the SDP answer; raises Refused.

        `codec`, if given, is the only video codec to send to a player.
        """
        joined = self.join(claims, None, now, desired=desired)
        try:
            consenting.answer(joined.room, joined.participant, consent, now)
            if consent_policy.is_owed(*joined):
                raise consent_policy.refusal()
            if role == "whip":
                answer = standalone.publish(joined.room, joined.participant, sdp, now)
            else:
                answer = standalone.play(joined.room, joined.participant, sdp, codec, now)
            joined.room.taps.update(now)
            return joined, answer
        except Refused:
            self.leave(joined, "left", now)
            raise
        finally:
            self.settle(now)

    # Rooms

    def _room_of(self, claims: JoinClaims, now: int) -> LiveRoom:
        """Return the room of a token; the later of two placements counts. Raises Refused."""
        room = self.rooms.get(claims.room)
        if room is not None and room.epoch and claims.epoch > room.epoch:
            self._move_away(room, now)
        elif room is not None and 0 < claims.epoch < room.epoch:
            raise Refused(Code.MOVED, "The meeting has moved to another server; join again.", fatal=True)
        return self.open_room(claims.room, now, claims.epoch)

    def open_room(self, name: str, now: int, epoch: int) -> LiveRoom:
        """Return a room, which is live from now on; raises Refused if there are too many."""
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= self.context.limits.rooms:
                raise Refused(Code.FULL, "This server is full.", fatal=True)
            room = LiveRoom(name, self.context, self.peers, self.sinks, now, transcoding=self.transcoding)
            room.epoch = epoch
            self.rooms[name] = room
            self.context.outbox.rooms_opened.append(name)
            self.context.outbox.epochs[name] = epoch
            room.is_secondary = name in self.homes
            if not room.is_secondary:
                room.report(facts.RoomOpened(room=name, at=room.opened_unix_ms))
            self.context.schedule.set(RoomKey(name), now + _TICK_NS)
            room.adaptation.hurry(now)
            if self._shed != NOTHING:
                self.ration(self._shed, now)
        return room

    def close_if_empty(self, room: LiveRoom, now: int) -> None:
        """Close a room that everyone has left."""
        emptiness.note(room, now)
        if emptiness.is_deserted(room, now):
            notices.end_all(room, now)
            for participant in room.own():
                membership.put_out(room, participant, Code.ENDED, now)
            if room.is_secondary:
                close_links(room, now)
        if not room.participants and not room.links and self.rooms.get(room.room) is room:
            self._close(room, now)

    def _close(self, room: LiveRoom, now: int) -> None:
        room.taps.close("left", now)
        del self.rooms[room.room]
        self._ticks.pop(room.room, None)
        self.context.schedule.set(RoomKey(room.room), None)
        self.context.schedule.set(AdaptationKey(room.room), None)
        if not room.is_secondary:
            room.report(facts.RoomClosed(room=room.room, at=self.context.unix_ms(now), moved=room.taps.moved))
        self.context.outbox.epochs.pop(room.room, None)
        self.homes.pop(room.room, None)

    def apply(self, desired: DesiredState, now: int) -> int:
        """Apply a desired state to its room; return the version in force, 0 if the room is not live."""
        room = self.rooms.get(desired.room)
        if room is None:
            return 0
        if desired.placement is not None and not self._holds(room, desired.placement):
            self.move_away((room.room,), now)
            return 0
        desired_state.apply(room, desired, now)
        governing = room.desired.version if room.desired is not None else 0
        self.close_if_empty(room, now)
        self.settle(now)
        return governing

    def act(self, name: str, act: Act, now: int) -> bool:
        """Carry out an act of control in a live room; return whether its object exists here. Raises Refused."""
        room = self.rooms.get(name)
        if room is None:
            return False
        try:
            return acts.perform(room, act, now)
        finally:
            self.settle(now)

    def end(self, name: str, now: int) -> None:
        """End a room whose meeting no longer exists, if it is live."""
        room = self.rooms.get(name)
        if room is not None:
            before = room.desired or DesiredState(room=name, version=0)
            self.apply(msgspec.structs.replace(before, version=before.version + 1, ended=True, placement=None), now)

    def _govern(self, room: LiveRoom, desired: DesiredState, now: int) -> None:
        """Apply the desired state of a room that somebody joins; raises Refused if another node holds the room."""
        if desired.placement is not None and not self._holds(room, desired.placement):
            raise Refused(Code.MOVED, "The meeting has moved to another server; join again.", fatal=True)
        desired_state.apply(room, desired, now)

    def _holds(self, room: LiveRoom, placement: Placement) -> bool:
        """Return True if a room is still ours under a placement; a room opened without an epoch takes the
        placement's.
        """
        if room.epoch == 0:
            room.epoch = self.context.outbox.epochs[room.room] = placement.epoch
        if placement.epoch != room.epoch:
            return placement.epoch < room.epoch  # a lower epoch was on its way when the room was placed here
        return placement.includes(self.context.node)

    def move_away(self, rooms: Iterable[str], now: int) -> None:
        """Give up rooms that another node holds from now on; their participants are told to join again."""
        for name in rooms:
            if name in self.rooms:
                self._move_away(self.rooms[name], now)
        self.settle(now)

    def _move_away(self, room: LiveRoom, now: int) -> None:
        """Close a room, but let its media continue until the participants are connected to the other node."""
        close_links(room, now)
        notices.end_all(room, now)
        room.taps.close(taps.MOVED, now)
        for participant in list(room.participants.values()):
            if participant.signaled:
                membership.move_away(room, participant, now)
            else:  # without signaling, only the end of its media makes it rejoin
                membership.put_out(room, participant, Code.MOVED, now)
        self._close(room, now)
        room.has_moved = True
        key = MovedKey(self.context.number())
        self._moved[key.number] = room
        self.context.schedule.set(key, now + MOVING_SECONDS * 1_000_000_000)

    @property
    def has_moving(self) -> bool:
        """True while participants of rooms that have moved still get media from here."""
        return any(
            participant.publish is not None or participant.subscription is not None
            for room in self._moved.values()
            for participant in room.participants.values()
        )

    def _end_moved(self, number: int, now: int) -> None:
        room = self._moved.pop(number, None)
        if room is None:
            return
        for participant in list(room.participants.values()):
            membership.end_media(room, participant, now)
        room.participants.clear()

    def shut_down(self, now: int, *, back_soon: bool = False) -> None:
        """Close all sessions. `back_soon`: rooms and recordings continue elsewhere, or here after a restart."""
        for room in list(self.rooms.values()):
            close_links(room, now)
            notices.end_all(room, now)
            room.taps.close(taps.MOVED if back_soon else "shutdown", now)
            for participant in list(room.participants.values()):
                membership.put_out(room, participant, Code.SHUTDOWN, now)
            self.close_if_empty(room, now)
        for number in list(self._moved):
            self._end_moved(number, now)
        self.settle(now)

    def fault(self, now: int) -> None:
        """Dump the flight recorders of a few rooms after an unexpected failure of a step."""
        for room in islice(self.rooms.values(), _DUMPED_AT_FAULT):
            dump = room.dump_flight("fault", now)
            self.context.outbox.failures.append(Failure(room.room, dump, "an error in a room", is_fault=True))

    # Cascades

    def set_home(self, name: str, home: Home) -> None:
        """Become a secondary node of a room that another node holds; raises Refused if there are too many.

        Expected participants may never have joined, so rooms that are not live give way to newer ones.
        """
        if name not in self.homes and len(self.homes) >= self.context.limits.rooms:
            stale = next((other for other in self.homes if other not in self.rooms), None)
            if stale is None:
                raise Refused(Code.FULL, "This server is full.")
            del self.homes[stale]
        self.homes[name] = home
        live = self.rooms.get(name)
        if live is not None:
            live.is_secondary = True
            self.context.outbox.rooms_opened.append(name)

    def open_link(self, name: str, other: str, receiver: LocalEndpoint, sender: LocalEndpoint, now: int) -> CascadeLink:
        """Link a room to another node that holds it; raises Refused."""
        room = self.open_room(name, now, 0)
        for known in [entry for entry in room.links.values() if entry.node == other]:
            known.close(now)
        link = CascadeLink(room, other, receiver, sender, now)
        self.links[link.number] = link
        self.settle(now)
        return link

    def link_message(self, number: int, message: LinkMessage, now: int) -> None:
        """Take a message from a link; raises ValueError for an invalid one."""
        link = self.links.get(number)
        if link is not None:
            link.receive(message, now)
            self.settle(now)

    def link_lost(self, number: int, now: int) -> None:
        """End a link whose other side has closed it."""
        link = self.links.pop(number, None)
        if link is not None and number in link.room.links:
            link.close(now)
            self.close_if_empty(link.room, now)
            self.settle(now)

    # Media

    def receive(self, result: Result, now: int) -> None:
        """Take what the engine left to policy. The caller sends its `outgoing`."""
        self.put(result, now)
        if self.has_work:
            self._work_off(now)

    def put(self, result: Result, now: int) -> None:
        """Queue what the engine left to policy for `work`. The caller sends its `outgoing`."""
        if result.arrivals or result.leftovers or result.switches or result.sink_packets or result.observed:
            self._incoming.put(result, now)
            self._queue_touched(now)

    def take_again(self, leftovers: Sequence[Leftover], now: int) -> None:
        """Resubmit to the engine the packets that it left until keys are there. The caller settles."""
        self._incoming.take_again(leftovers, now)

    def transcoder_began(self, now: int) -> None:
        """Hand converted tracks to a new transcoder; they continue as new streams."""
        self.transcoding.began(now)
        for room in self.rooms.values():
            room.taps.update(now)

    def converted(self, conversion: int, rtp: bytes, now: int) -> None:
        """Take a packet from the transcoder. The caller settles."""
        leftover = self.transcoding.converted(conversion, rtp, now)
        if leftover is not None:
            self.take_again([leftover], now)

    def ration(self, shed: Shed, now: int) -> None:
        """Apply this level of shedding, since the node is overloaded. This precedes all other policy work."""
        self._shed = shed
        for room in rationing.ration(self.context, self.rooms.values(), shed, now):
            self._first.setdefault(AdaptationKey(room.room), now)

    # Time

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns."""
        return self.context.schedule.next()

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        self.wake(now)
        self._work_off(now)

    def wake(self, now: int) -> None:
        """Queue due timers for `work`; learn from the feedback that was sent to publishers."""
        self._incoming.take_uplinks()
        for key in self.context.schedule.due(now):
            self._turns.setdefault(key, now)

    @property
    def has_work(self) -> bool:
        """True if anything waits for `work`."""
        return bool(self._turns or self._first) or self._incoming.has_work

    @property
    def is_rationing(self) -> bool:
        """True if rooms wait for the newest level of shedding to be applied."""
        return bool(self._first)

    def behind(self, now: int) -> int:
        """Return how long (ns) the oldest entry has waited for `work`."""
        turn = next(iter(self._turns.values()), now)
        return max(0, now - min(turn, self._incoming.oldest or now))

    def work(self, now: int) -> bool:
        """Do a little of each kind of the waiting work; return whether anything is left."""
        self._incoming.work(now)
        self._queue_touched(now)
        for key in dict.fromkeys(islice(chain(self._first, self._turns), _KEYS_A_TURN)):
            self._first.pop(key, None)
            self._turns.pop(key, None)
            self._act(key, now)
        self._queue_touched(now)
        return self.has_work

    def _work_off(self, now: int) -> None:
        while self.work(now):
            pass

    def _queue_touched(self, now: int) -> None:
        for number in self.context.touched:
            self._turns.setdefault(PeerKey(number), now)
        self.context.touched.clear()

    def _act(self, key: Hashable, now: int) -> None:
        if isinstance(key, PeerKey):
            settling.settle_one(self, key.peer, now)
        elif isinstance(key, CoalescingKey):
            self._incoming.take_waiting()
        elif isinstance(key, RoomKey):
            self._tick(key, now)
        elif isinstance(key, notices.NoticeKey) and key.room in self.rooms:
            self._incoming.take_again(notices.play(self.rooms[key.room], now), now)
        elif isinstance(key, MovedKey):
            self._end_moved(key.number, now)
        elif isinstance(key, AdaptationKey) and key.room in self.rooms:
            room = self.rooms[key.room]
            room.quality.update(now)
            room.adaptation.update(now)

    def _tick(self, key: RoomKey, now: int) -> None:
        room = self.rooms.get(key.room)
        if room is None:
            return
        voices = publishing.voices(room)
        room.is_still = room.adaptation.is_still and all(now - voice.heard_at > _SILENT_NS for voice in voices.values())
        wait = _TICK_NS
        if room.is_still:
            wait = _STILL_TICK_NS if _waits_for_time(room) else _IDLE_TICK_NS
        self.context.schedule.set(key, coalesce_nearest(now + wait, now))
        membership.expire(room, now)
        desired_state.close_when_due(room, now)
        room.taps.check_recording(now)
        for link in room.links.values():
            link.update(now)
        speakers = room.speakers.update(voices, now)
        if speakers is not None:
            room.broadcast(signaling.Speakers(speakers=speakers))
            room.adaptation.heard(now)
        ticks = self._ticks.get(key.room, 0) + 1
        self._ticks[key.room] = ticks
        if ticks % _LAYERS_EVERY_TICKS == 0 or wait == _IDLE_TICK_NS:
            for uptrack in room.published():
                for watcher in uptrack.watchers:
                    watcher.choose(now)
            room.taps.update(now)
            room.transcoding.follow(now)
            room.backups.update(now)
        distribution.follow_loudest(room, now)
        self.close_if_empty(room, now)

    def settle(self, now: int) -> None:
        """Let every touched peer act, and schedule its next action."""
        settling.settle(self, now)


def _waits_for_time(room: LiveRoom) -> bool:
    """Return True if something in a room happens at its time, although nothing arrives."""
    is_missed = any(participant.lost_at is not None for participant in room.participants.values())
    closes = room.desired is not None and room.desired.closes_at is not None
    return is_missed or closes or bool(room.links or room.recorded)
