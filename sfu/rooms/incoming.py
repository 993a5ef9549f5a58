"""Dispatch of what the engine hands to policy: arrivals, switches, leftovers, feedback.

`put` keeps input in bounded queues and `work` takes a little of each, so that a flood of one kind delays neither the
others nor the sockets. Entries that a full queue refuses are counted; after a refused arrival, its missing packets are
not requested.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum

from sfu.engine.contract import Arrival, ArrivalFlag, Leftover, LeftoverKind, Observed, Result, Switch
from sfu.flight import notes as flight_notes
from sfu.flight.recorder import Kind
from sfu.formats import rtcp
from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.overuse import Usage
from sfu.machines.ice.lite import local_ufrag
from sfu.peers.coalescing import coalesce
from sfu.peers.context import Context
from sfu.peers.peer import Peer
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.sinks.sinks import Sinks
from sfu.rooms import data_routing, publishing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.peer_index import Owner, PeerIndex, subscriber_of
from sfu.rooms.transcoding import Transcoding


class CoalescingKey(Enum):
    """The place of coalesced work in the schedule."""

    DUE = 0


_MAX_WAITING = 1000
_QUEUE_NS = 25_000_000
_MAX_ARRIVALS = 8192
_MAX_LEFTOVERS = 8192
_ARRIVALS_A_TURN = 8
_LEFTOVERS_A_TURN = 2
"""Turns are short, since the sockets are read between them only; a new stream takes a millisecond."""
_SPARED_REPORTS_NS = 3_000_000_000
"""The time between reports of one sender while the node is overloaded; the others are not examined."""
_MAX_REPORTERS = 8192
_MAX_FOLLOWERS = 64
"""The maximum number of packets kept for an unknown SSRC until its stream is known: more than a keyframe has."""
_STIRS = int(ArrivalFlag.RESUMED | ArrivalFlag.KEYFRAME)  # an IntFlag's operators are slow


def note_decision(owner: Owner[LiveRoom], now: int, what: str, **about: object) -> None:
    """Record a decision in the flight recorder of the participant's room."""
    noted = flight_notes.decision(what, **about)
    owner.room.flight.note(now, Kind.DECISION, owner.participant.participant, noted)


class Incoming:
    """The incoming work of one node."""

    def __init__(
        self, context: Context, peers: PeerIndex[LiveRoom], sinks: Sinks, transcoding: Transcoding[LiveRoom]
    ) -> None:
        self._context = context
        self._peers = peers
        self._sinks = sinks
        self._transcoding = transcoding
        self._waiting: list[Leftover | Observed] = []
        self._arrivals: deque[Arrival] = deque()
        self._leftovers: deque[Leftover | Observed] = deque()
        self._followers: dict[tuple[int, bytes], list[Leftover]] = {}
        """Packets, by peer and SSRC, that arrived while an earlier one of the SSRC waits in `_leftovers`."""
        self._following = 0
        self._reported: dict[tuple[int, bytes], int] = {}
        """Arrival times of the newest examined reports while the node is overloaded, by peer and sender's SSRC."""

    @property
    def has_work(self) -> bool:
        """True if anything waits for `work`."""
        return bool(self._arrivals or self._leftovers)

    @property
    def oldest(self) -> int | None:
        """The arrival time, in ns, of the entry that has waited longest for `work`; None if nothing waits."""
        return min((queue[0].arrival for queue in (self._arrivals, self._leftovers) if queue), default=None)

    def take_again(self, leftovers: Sequence[Leftover], now: int) -> None:
        """Resubmit packets to the engine that it left until keys are there, or their stream is known."""
        again = self._context.engine.resubmit(leftovers, now)
        self._context.outbox.send(again.outgoing)
        if leftovers and leftovers[0].kind == LeftoverKind.UNKNOWN_SSRC:
            again.leftovers.clear()  # still unknown
        self.put(again, now)

    def put(self, result: Result, now: int) -> None:
        """Queue what the engine left to policy for `work`. Switches and copies for sinks are passed on at once."""
        self._put_arrivals(result.arrivals)
        for switch in result.switches:
            self._switched(switch, now)
        if result.sink_packets:
            self._sinks.packets(result.sink_packets)
            self._transcoding.packets(result.sink_packets)
        for leftover in result.leftovers:
            if leftover.peer < 0 and self._is_stray(leftover, now):
                continue
            if leftover.kind == LeftoverKind.RTCP and rtcp.has_reports_only(leftover.data):
                if not self._is_spared(leftover):
                    self._wait(leftover, now)
            elif leftover.kind == LeftoverKind.UNKNOWN_SSRC:
                self._put_unknown(leftover)
            else:
                self._put_leftover(leftover)
        for said in result.observed:
            self._wait(said, now)
            if not _is_calm(said.summary):
                self.take_waiting()

    def _is_spared(self, report: Leftover) -> bool:
        """Return True if a report need not be examined, since the node is overloaded and knows a recent one."""
        if self._context.pace == 1:
            self._reported.clear()
            return False
        reporter = report.peer, report.data[4:8]
        before = self._reported.get(reporter)
        if before is not None and report.arrival - before < _SPARED_REPORTS_NS:
            self._context.counters["reports_overlooked"] += 1
            return True
        if len(self._reported) >= _MAX_REPORTERS:
            self._reported.clear()
        self._reported[reporter] = report.arrival
        return False

    def _is_stray(self, leftover: Leftover, now: int) -> bool:
        """Take a datagram that is for another worker on the same port; return whether it is, or may be."""
        shared = self._context.shared_port
        if shared is None:
            return False
        ufrag = local_ufrag(leftover.data) if leftover.kind == LeftoverKind.STUN else None
        if ufrag is not None:
            return shared.check(leftover, ufrag)
        return shared.stray(leftover, now)

    def work(self, now: int) -> None:
        """Handle one turn's share of waiting entries, in order; the peers concerned are touched."""
        for _ in range(min(_LEFTOVERS_A_TURN, len(self._leftovers))):
            what = self._leftovers.popleft()
            if isinstance(what, Leftover):
                self._leftover(what, now)
            else:
                self._observed(what)
        for _ in range(min(_ARRIVALS_A_TURN, len(self._arrivals))):
            self._arrived(self._arrivals.popleft())

    def take_waiting(self) -> None:
        """Handle entries that waited for the coalesced turn."""
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            self._put_leftover(what)

    def _wait(self, what: Leftover | Observed, now: int) -> None:
        """Keep entries that need no immediate reaction for the next coalesced turn."""
        if not self._waiting:
            self._context.schedule.set(CoalescingKey.DUE, coalesce(now + 1))
        self._waiting.append(what)
        if len(self._waiting) >= _MAX_WAITING:
            self.take_waiting()

    def _put_leftover(self, what: Leftover | Observed) -> bool:
        if len(self._leftovers) < _MAX_LEFTOVERS:
            self._leftovers.append(what)
            return True
        self._context.counters["leftovers_overlooked"] += 1
        return False

    def _put_unknown(self, leftover: Leftover) -> None:
        """Keep a packet of an unknown SSRC. Only the first needs a decision; when many publishers begin at once,
        thousands more arrive before its turn.
        """
        key = _unknown_of(leftover)
        followers = self._followers.get(key)
        if followers is None:
            if self._put_leftover(leftover):
                self._followers[key] = []
        elif len(followers) < _MAX_FOLLOWERS and self._following < _MAX_LEFTOVERS:
            followers.append(leftover)
            self._following += 1
        else:
            self._context.counters["leftovers_overlooked"] += 1

    def _put_arrivals(self, arrivals: list[Arrival]) -> None:
        room = max(_MAX_ARRIVALS - len(self._arrivals), 0)
        self._arrivals.extend(arrivals[:room])
        self._context.counters["arrivals_overlooked"] += len(arrivals[room:])

    def take_uplinks(self) -> None:
        """Pass on what the engine's feedback to publishers says about their uplinks."""
        for peer, window in self._context.engine.take_uplinks():
            owner = self._peers.get(peer)
            if owner is not None and isinstance(owner.media, PublishPeer):
                owner.media.waited(window)

    def _observed(self, said: Observed) -> None:
        owner = self._peers.get(said.peer)
        subscriber = subscriber_of(owner.media) if owner is not None else None
        if subscriber is not None:
            subscriber.observed(said.summary, said.arrival)
            self._context.touched.add(said.peer)

    def _arrived(self, arrival: Arrival) -> None:
        owner = self._peers.get(arrival.peer)
        if owner is None or not isinstance(owner.media, PublishPeer):
            return
        if arrival.flags & _STIRS:
            owner.room.stir(arrival.arrival)
        if owner.media.arrived(arrival):
            self._context.touched.add(arrival.peer)

    def _switched(self, switch: Switch, now: int) -> None:
        owner = self._peers.get(self._context.routes.get(switch.route, -1))
        subscriber = subscriber_of(owner.media) if owner is not None else None
        if owner is None or subscriber is None:
            return
        downtrack = subscriber.switched(switch.route, switch.stream, now)
        self._context.touched.add(owner.media.peer.number)
        if downtrack is not None and downtrack.uptrack is not None and downtrack.stream is not None:
            note_decision(owner, now, "switched", track=downtrack.uptrack.track, rid=downtrack.stream.rid)

    def _leftover(self, leftover: Leftover, now: int) -> None:
        followers: list[Leftover] = []
        if leftover.kind == LeftoverKind.UNKNOWN_SSRC:
            followers = self._followers.pop(_unknown_of(leftover), followers)
            self._following -= len(followers)
        owner = self._owner(leftover)
        if owner is None:
            self._context.counters["datagrams_for_nobody"] += 1 + len(followers)
            return
        if leftover.kind == LeftoverKind.UNKNOWN_SSRC and isinstance(owner.media, PublishPeer):
            self._unknown(owner, [leftover, *followers], now)
            return
        if leftover.kind == LeftoverKind.RTCP:
            self._control(owner, leftover, now)
            return
        if leftover.kind == LeftoverKind.EARLY and owner.media.peer.connected:  # the keys came while it waited
            self.take_again([leftover], now)
            return
        for follower in followers:
            owner.media.receive(follower, now)
        refusal = owner.media.receive(leftover, now)
        if refusal is not None:
            self._context.counters[f"stun_{refusal.value}"] += 1
        data_routing.drain(owner.room, owner.participant, owner.media, now)
        self._context.touched.add(owner.media.peer.number)

    def _unknown(self, owner: Owner[LiveRoom], packets: list[Leftover], now: int) -> None:
        """Register the stream of an unknown SSRC by its first packet that identifies it; rerun the packets from there
        on.
        """
        for place, packet in enumerate(packets):
            if publishing.unknown_ssrc(owner.room, owner.participant, packet, now):
                self.take_again(packets[place:], now)
                return

    def _control(self, owner: Owner[LiveRoom], leftover: Leftover, now: int) -> None:
        """Pass on RTCP. Most of it is subscribers' reports, which need no immediate reaction."""
        media = owner.media
        owner.room.flight.note(now, Kind.RTCP, owner.participant.participant, leftover.data)
        media.receive(leftover, now)
        if isinstance(media, PublishPeer):
            for stream, report, arrival in media.take_reports():
                self._sinks.sender_report(stream, report, arrival)
        elif media.bandwidth is not None and media.bandwidth.timer() <= now:
            self._context.touched.add(media.peer.number)

    def _owner(self, leftover: Leftover) -> Owner[LiveRoom] | None:
        """Find the peer: for checks by ufrag, since an address may pass to another peer; else by the address that ICE
        validated.
        """
        if leftover.kind == LeftoverKind.STUN:
            ufrag = local_ufrag(leftover.data)
            if ufrag is None:  # a response to one of our checks, or invalid
                asking = self._peers.get(leftover.peer)
                if asking is not None and isinstance(asking.media.peer, Peer):
                    return asking
                self._context.counters["stun_malformed"] += 1
                return None
            owner = self._peers.by_ufrag(ufrag)
            if owner is None:
                self._context.counters["stun_wrong_ufrag"] += 1
            return owner
        return self._peers.get(leftover.peer)


def _unknown_of(leftover: Leftover) -> tuple[int, bytes]:
    return leftover.peer, leftover.data[8:12]


def _is_calm(summary: FeedbackSummary) -> bool:
    """Return True if the estimator may get this feedback a moment later: no real queue, no losses, no result of a
    probe.
    """
    losses = summary.losses
    is_queueing = summary.overused or summary.usage is Usage.OVERUSE or summary.queueing > _QUEUE_NS
    return not (is_queueing or (losses is not None and losses.lost) or summary.results)
