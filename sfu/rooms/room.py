"""A live meeting: who is in it and what is published. What is done with them lives in the modules beside this one."""

from typing import TYPE_CHECKING

from sfu.api.desired_state import DesiredState
from sfu.api.signaling import Caption, Chat, Message
from sfu.api.signaling_values import ParticipantInfo
from sfu.flight import dump as flight_dump
from sfu.flight.recorder import FlightRecorder
from sfu.peers.context import Context
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.sinks.sinks import Sinks
from sfu.rooms.adaptation import Adaptation
from sfu.rooms.backups import Backups
from sfu.rooms.caption_history import CaptionHistory
from sfu.rooms.data_allowance import room_allowance
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import PeerIndex
from sfu.rooms.quality import RoomQuality
from sfu.rooms.speakers import Speakers
from sfu.rooms.taps import RoomTaps
from sfu.rooms.transcoding import Transcoding

if TYPE_CHECKING:
    from sfu.rooms.cascade_link import CascadeLink


class Room:
    """Participants by id, announced uptracks by track id, in the order they came.

    `links` lead to other nodes that hold the room. Where it `is_secondary`, another node is its home.
    """

    def __init__(
        self, room: str, context: Context, peers: PeerIndex, sinks: Sinks, now: int, *, transcoding: Transcoding
    ) -> None:
        self.room = room
        self.epoch = 0
        self.context = context
        self.opened_at = now
        self.opened_unix_ms = context.unix_ms(now)
        self.participants: dict[str, Participant] = {}
        self.uptracks: dict[str, UpTrack] = {}
        self.visited = False
        self.is_secondary = False
        self.links: dict[int, CascadeLink] = {}
        self.desired: DesiredState | None = None
        self.speakers = Speakers()
        self.flight = FlightRecorder()
        self.captions = CaptionHistory()
        self.peers = peers
        self.taps = RoomTaps(self, sinks)
        self.transcoding = transcoding
        self.adaptation = Adaptation(self)
        self.data = room_allowance()
        self.backups = Backups(self)
        self.quality = RoomQuality(self)

    def own(self) -> list[Participant]:
        """Return those who have joined this node, not another one that holds the room too."""
        return [participant for participant in self.participants.values() if participant.link is None]

    def published(self) -> list[UpTrack]:
        """Return everything that is published, backups included."""
        backups = (uptrack.backup for uptrack in self.uptracks.values())
        return [*self.uptracks.values(), *(backup for backup in backups if backup is not None)]

    def touch(self, peer: int) -> None:
        """A peer may have something to send, or a new timer."""
        self.context.touched.add(peer)

    def broadcast(self, message: Message, *, but: str | None = None) -> None:
        """Tell everyone, or everyone but one participant."""
        for participant in self.participants.values():
            if participant.participant != but:
                self.context.outbox.tell(participant.session, message)

    def relay(self, message: Chat | Caption, *, but: int | None = None) -> None:
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
            recorded=participant.participant in self.taps.recorded,
        )

    def dump_flight(self, reason: str, now: int) -> bytes:
        """Return what the flight recorder kept, as a file's content."""
        context = self.context
        return flight_dump.write(
            self.flight, room=self.room, node=context.node, reason=reason, now=now, unix_ms=context.unix_ms(now)
        )

    def infos(self) -> list[ParticipantInfo]:
        return [self.info(participant) for participant in self.participants.values()]

    def publisher_of(self, uptrack: UpTrack) -> PublishPeer | None:
        participant = self.participants.get(uptrack.participant)
        return participant.publish if participant is not None else None
