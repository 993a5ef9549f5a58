"""The data of a room: its participants and published tracks. The modules beside this one act on it."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sfu.api.cascade_link import LinkData, Relayed
from sfu.api.desired_state import DesiredState
from sfu.api.facts import AnyFact
from sfu.api.signaling import Message, ParticipantUpdated
from sfu.api.signaling_values import ParticipantInfo
from sfu.flight import dump as flight_dump
from sfu.flight.recorder import FlightRecorder
from sfu.peers.context import Context
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.layers.layer_options import Layer
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms.caption_history import CaptionHistory
from sfu.rooms.data_allowance import room_allowance
from sfu.rooms.participant import Participant
from sfu.rooms.speakers import Speakers


class Link(Protocol):
    """A link to another node that holds the room, as the room knows it (`CascadeLink`)."""

    node: str
    is_behind: bool

    def update(self, now: int) -> None: ...
    def wanted(self, uptrack: UpTrack) -> Mapping[IngressStream, Layer]: ...
    def wish(self, uptrack: UpTrack, ladder: LayerLadder, wanted: Mapping[IngressStream, Layer], now: int) -> None: ...
    def say_due(self, now: int) -> None: ...
    def need_backups(self, tracks: Iterable[str]) -> None: ...
    def statistics(self) -> dict[str, Any]: ...
    def relay(self, message: Relayed) -> None: ...
    def relay_data(self, said: LinkData) -> None: ...
    def forget(self, participant: Participant, now: int) -> None: ...
    def close(self, now: int) -> None: ...


class Room:
    """Participants by id and announced uptracks by track id, in order of arrival.

    `links` lead to other nodes that hold the room. If it `is_secondary`, another node is its home. `recorded` holds the
    participants who are being recorded. Once the room `has_moved`, only its media continues for a moment. `visited`: a
    person was there; `deserted_at` is since when only agents and recorders are (emptiness).
    """

    def __init__(self, room: str, context: Context, now: int) -> None:
        self.room = room
        self.epoch = 0
        self.context = context
        self.opened_at = now
        self.opened_unix_ms = context.unix_ms(now)
        self.participants: dict[str, Participant] = {}
        self.uptracks: dict[str, UpTrack] = {}
        self.visited = False
        self.deserted_at: int | None = None
        self.is_secondary = False
        self.has_moved = False
        self.links: dict[int, Link] = {}
        self.desired: DesiredState | None = None
        self.speakers = Speakers()
        self.flight = FlightRecorder()
        self.captions = CaptionHistory()
        self.data = room_allowance()
        self.recorded: frozenset[str] = frozenset()

    def own(self) -> list[Participant]:
        """Return the participants who have joined this node, not another of the room's nodes."""
        people = self.participants.values()
        return [participant for participant in people if participant.link is None and not participant.is_notice]

    def announced(self) -> list[UpTrack]:
        """Return the tracks that everyone may know of: all but notices."""
        notices = {who for who, participant in self.participants.items() if participant.is_notice}
        return [uptrack for uptrack in self.uptracks.values() if uptrack.participant not in notices]

    def published(self) -> list[UpTrack]:
        """Return all published tracks, including backups."""
        backups = (uptrack.backup for uptrack in self.uptracks.values())
        return [*self.uptracks.values(), *(backup for backup in backups if backup is not None)]

    def touch(self, peer: int) -> None:
        """Note that a peer may have something to send, or a new timer."""
        self.context.touched.add(peer)

    def broadcast(self, message: Message, *, but: str | None = None) -> None:
        """Send a message to everyone, or to everyone but one participant."""
        for participant in self.participants.values():
            if participant.participant != but:
                self.context.outbox.tell(participant.session, message)

    def show_changed(self, participant: Participant, *, but: str | None = None) -> None:
        """Tell everyone, or everyone but one, a participant's current state; only they themselves learn that of hidden
        ones.
        """
        changed = ParticipantUpdated(participant=self.info(participant))
        if not participant.grants.hidden:
            self.broadcast(changed, but=but)
        elif participant.participant != but:
            self.context.outbox.tell(participant.session, changed)

    def report(self, fact: AnyFact) -> None:
        """Report a fact to control, unless the room has moved: its facts now come from the next node."""
        if not self.has_moved:
            self.context.outbox.report(fact)

    def relay(self, message: Relayed, *, but: int | None = None) -> None:
        """Pass a message on to other nodes that hold the room, except by the link `but`."""
        for number, link in self.links.items():
            if number != but:
                link.relay(message)

    def info(self, participant: Participant) -> ParticipantInfo:
        """Return a participant as others see them."""
        if participant.info is not None:
            return participant.info
        return ParticipantInfo(
            participant=participant.participant,
            name=participant.name,
            host=participant.grants.host,
            connected=participant.connected,
            recorded=participant.participant in self.recorded,
            identity=participant.identity,
            metadata=participant.metadata,
            attributes=participant.attributes,
            hand=participant.hand,
            joined_at=participant.joined_at,
            kind=participant.kind,
            quality=participant.quality,
            attendee=not participant.grants.publish,
            presenter=participant.grants.presenter,
            data_tracks=participant.data_tracks if participant.grants.data else (),
        )

    def dump_flight(self, reason: str, now: int) -> bytes:
        """Return the flight recorder's content as a file."""
        context = self.context
        return flight_dump.write(
            self.flight, room=self.room, node=context.node, reason=reason, now=now, unix_ms=context.unix_ms(now)
        )

    def infos(self, viewer: Participant | None = None) -> list[ParticipantInfo]:
        """Return the participants that one of them sees, including itself; hidden ones are seen by nobody else."""
        people = self.participants.values()
        return [self.info(entry) for entry in people if entry is viewer or not entry.grants.hidden]

    def publisher_of(self, uptrack: UpTrack) -> PublishPeer | None:
        participant = self.participants.get(uptrack.participant)
        return participant.publish if participant is not None else None

    def request_keyframe(self, uptrack: UpTrack, stream: IngressStream, now: int) -> None:
        """Ask the publisher of an uptrack for a keyframe of one of its streams, throttled."""
        stream.request_keyframe(now)
        publisher = self.publisher_of(uptrack)
        if publisher is not None:
            self.context.touched.add(publisher.peer.number)
