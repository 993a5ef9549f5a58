"""A room's link to another node that holds it: participants and tracks there appear here, and the other way round.

Both sides do the same, except that the home may have several links and passes messages on between them. A participant
belongs to the node that it has joined; the other node shows it as remote. Its own node moderates it, by the same
desired state.
"""

import base64
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from sfu.api import signaling, signaling_values
from sfu.api.cascade_link import (
    VERSION,
    LinkBackups,
    LinkCosts,
    LinkData,
    LinkEvent,
    LinkHello,
    LinkMessage,
    LinkState,
    LinkTrack,
    LinkWishes,
    Relayed,
)
from sfu.api.join_token import Grants
from sfu.api.plain_transport import SrtpKey
from sfu.engine.contract import SrtpProfile
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.layers.layer_options import Layer
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.peers.plain_peer import KEY_BYTES, PlainAddress, PlainPeer, srtp_keys
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.link_publish_peer import LinkPublishPeer, check
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.link_subscribe_peer import LinkSubscribePeer
from sfu.rooms import data_routing, distribution, gestures, publishing
from sfu.rooms.layer_wishes import LinkDemand
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner

_PAUSE_NS = 50_000_000


class CascadeLink:
    """A link; `number` is its id, `node` the other side's name. Its messages go to the outbox.

    `is_behind`: something has changed that the other side should soon learn.
    """

    def __init__(self, room: LiveRoom, node: str, receiver: LocalEndpoint, sender: LocalEndpoint, now: int) -> None:
        """Receive at `receiver`, send from `sender`."""
        self.number = room.context.number()
        self.node = node
        self.room = room
        self._receiver = receiver
        self._sender = sender
        self._key, self._feedback_key = _fresh_key(), _fresh_key()
        keys = srtp_keys(_srtp(self._feedback_key), _srtp(self._key))
        self.publish = LinkPublishPeer(
            room.context, PlainPeer(room.context, keys, receiver.sockets), receiver.local, now
        )
        self.subscribe_peer: LinkSubscribePeer | None = None
        self._holder = Participant("", node, None, Grants(), publish=self.publish)
        self._said: LinkState | None = None
        self._say_at = now
        self.is_behind = False
        self._tracks: list[LinkTrack] = []
        self._demand = LinkDemand()
        self._needed: list[str] = []
        self._speaks = 1
        room.links[self.number] = self
        room.peers.add(Owner(room, self._holder, self.publish))
        self._tell(
            LinkHello(
                node=room.context.node,
                address=receiver.address,
                port=receiver.port,
                sends_from=(sender.address, sender.port),
                key=self._key,
                feedback_key=self._feedback_key,
                v=VERSION,
            )
        )

    def _tell(self, message: LinkMessage) -> None:
        self.room.context.outbox.to_links.append((self.number, message))

    def receive(self, message: LinkMessage, now: int) -> None:
        """Take a message from the other side; raises ValueError for an invalid one."""
        if isinstance(message, LinkHello):
            self._greeted(message, now)
        elif isinstance(message, LinkState):
            self._apply(message, now)
        elif isinstance(message, LinkCosts):
            self.publish.told_costs(message.streams)
        elif isinstance(message, LinkWishes):
            self._wished(message, now)
        elif isinstance(message, LinkBackups):
            self.room.backups.lacks_beyond(self.number, message.tracks)
            self.room.backups.update(now)
        elif isinstance(message, LinkData):
            data_routing.relayed(self.room, message, self.number, now)
        else:
            self._pass_on(message.message, now)

    def _greeted(self, hello: LinkHello, now: int) -> None:
        if self.subscribe_peer is not None:
            raise ValueError("a link may send hello only once")
        room = self.room
        peer = PlainPeer(room.context, srtp_keys(_srtp(hello.key), _srtp(hello.feedback_key)))
        try:
            far = (hello.address, hello.port)
            peer.set_address(PlainAddress(far, far, self._sender.local, self._sender.local))
        except ValueError:
            peer.close(now)
            raise
        self.subscribe_peer = LinkSubscribePeer(room.context, peer, now, wished=hello.v >= VERSION)
        self._speaks = hello.v
        self.publish.peer.report_to(hello.sends_from, self._receiver.local)
        room.peers.add(Owner(room, self._holder, self.subscribe_peer))
        room.touch(peer.number)
        self.update(now)

    def update(self, now: int) -> None:
        """Send the tracks that the other side lacks, and report changes.

        At most every 50 ms: later changes wait.
        """
        if self.subscribe_peer is None:
            return
        self.is_behind = now < self._say_at
        if self.is_behind:
            self.room.adaptation.hurry(self._say_at)
            return
        self._say_at = now + _PAUSE_NS
        room = self.room
        here = [entry for entry in room.participants.values() if entry.link != self.number and not entry.is_notice]
        names = {entry.participant for entry in here}
        tracks = [
            (uptrack, publisher)
            for uptrack in (room.published() if self._speaks >= VERSION else room.uptracks.values())
            if uptrack.participant in names and (publisher := room.publisher_of(uptrack)) is not None
        ]
        sent = self.subscribe_peer.send(tracks)
        state = LinkState(
            participants=[room.info(entry) for entry in here if not entry.grants.hidden],
            tracks=sent,
            audiences={entry.participant: entry.audience for entry in here if entry.audience is not None},
        )
        if state != self._said:
            self._said = state
            self._tell(state)
        costs = self.subscribe_peer.costs() if self._speaks >= VERSION else {}
        if costs:
            self._tell(LinkCosts(streams=costs))
        room.touch(self.subscribe_peer.peer.number)

    def wanted(self, uptrack: UpTrack) -> Mapping[IngressStream, Layer]:
        """Return the layers that the other side wants of one of our tracks."""
        return self.subscribe_peer.wanted(uptrack) if self.subscribe_peer is not None else {}

    def _wished(self, wishes: LinkWishes, now: int) -> None:
        if self.subscribe_peer is not None:
            self.subscribe_peer.wish(wishes.streams, now)
            self.room.adaptation.hurry(now)

    def wish(self, uptrack: UpTrack, ladder: LayerLadder, wanted: Mapping[IngressStream, Layer], now: int) -> None:
        """Take the layers that we want of one of the other side's tracks; see `say_due`."""
        if self._speaks >= VERSION:
            self._demand.update(uptrack, ladder, wanted, now)

    def say_due(self, now: int) -> None:
        """Send waiting changes, and changed wishes."""
        if self.is_behind:
            self.update(now)
        streams = self._demand.take()
        if streams:
            self._tell(LinkWishes(streams=streams))

    def need_backups(self, tracks: Iterable[str]) -> None:
        """Tell the other side which of its tracks are needed in another codec, if that has changed."""
        needed = sorted(tracks)
        if needed != self._needed and self._speaks >= VERSION:
            self._needed = needed
            self._tell(LinkBackups(tracks=needed))

    def statistics(self) -> dict[str, Any]:
        """Return totals: packets and streams in each direction, and our retransmissions and resting streams."""
        sent, repaired, streams, resting = (
            self.subscribe_peer.totals() if self.subscribe_peer is not None else (0, 0, 0, 0)
        )
        received = self.publish.streams.values()
        return {
            "node": self.node,
            "sent": sent,
            "repaired": repaired,
            "streams_sent": streams,
            "streams_resting": resting,
            "received": sum(stream.packets for stream in received),
            "streams_received": len(received),
        }

    def relay(self, message: Relayed) -> None:
        """Pass on a message to the room."""
        if self._speaks >= VERSION or isinstance(message, signaling.Chat | signaling.Caption):
            self._tell(LinkEvent(message=message))

    def relay_data(self, said: LinkData) -> None:
        """Pass on a message of a data channel."""
        self._tell(said)

    def _pass_on(self, message: Relayed, now: int) -> None:
        room = self.room
        if isinstance(message, signaling.Hand):
            gestures.lower(room, message, but=self.number)
            return
        if isinstance(message, signaling.Reaction):
            gestures.show(room, message, but=self.number)
            return
        receiver = room.participants.get(message.to) if isinstance(message, signaling.Chat) and message.to else None
        if receiver is not None:
            room.context.outbox.tell(receiver.session, message)
        elif isinstance(message, signaling.Caption):
            room.captions.add(message, now)
            room.broadcast(message)
        elif message.to is None:
            room.broadcast(message)
        room.relay(message, but=self.number)

    def _apply(self, state: LinkState, now: int) -> None:
        check(state.tracks)
        room = self.room
        told = {info.participant: info for info in state.participants}
        described = {track.info.track: track for track in state.tracks}
        for track, uptrack in list(self.publish.uptracks.items()):
            if track not in described:
                self._remove(uptrack, now)
        for who, participant in list(room.participants.items()):
            if participant.link == self.number and who not in told:
                self._drop(participant)
        for info in state.participants:
            self._show(info)
        if self._share(state):
            distribution.refresh_all(room, now)
        if state.tracks == self._tracks and described.keys() == self.publish.uptracks.keys():
            return
        self._tracks = state.tracks
        for offered in state.tracks:
            self._take(offered, now)
        distribution.refresh_all(room, now)
        room.adaptation.hurry(now)
        room.touch(self.publish.peer.number)

    def _show(self, info: signaling_values.ParticipantInfo) -> None:
        room = self.room
        known = room.participants.get(info.participant)
        if known is None:
            if len(room.participants) >= room.context.limits.participants:
                return
            remote = Participant(info.participant, info.name, None, Grants(host=info.host), publish=self.publish)
            remote.signaled, remote.link, remote.info = False, self.number, info
            room.participants[info.participant] = remote
            room.broadcast(signaling.ParticipantJoined(participant=info))
        elif known.link == self.number and known.info != info:
            known.info = info
            room.broadcast(signaling.ParticipantUpdated(participant=info))

    def _share(self, state: LinkState) -> bool:
        """Take the audiences of the other side's participants; return whether they changed."""
        changed = False
        for participant in self.room.participants.values():
            audience = state.audiences.get(participant.participant)
            if participant.link == self.number and participant.audience != audience:
                participant.audience, changed = audience, True
        return changed

    def _drop(self, participant: Participant) -> None:
        room = self.room
        del room.participants[participant.participant]
        room.speakers.remove(participant.participant)
        room.broadcast(signaling.ParticipantLeft(participant=participant.participant, reason="left"))

    def _take(self, described: LinkTrack, now: int) -> None:
        room, info = self.room, described.info
        owner = room.participants.get(info.participant)
        if owner is None or owner.link != self.number:
            return
        uptrack = self.publish.uptracks.get(info.track)
        if uptrack is None:
            uptrack = self.publish.add(described)
            uptrack.muted, uptrack.muted_by_host = info.muted and not described.muted_by_host, described.muted_by_host
            if uptrack.backup_of:
                room.backups.attach(uptrack)
                return
            room.uptracks[info.track] = uptrack
            room.broadcast(signaling.TrackPublished(track=uptrack.info()))
            return
        if self.publish.set_streams(uptrack, described):
            for watcher in uptrack.watchers:
                watcher.choose(now)
        if (uptrack.is_quiet, uptrack.muted_by_host) != (info.muted, described.muted_by_host):
            uptrack.muted, uptrack.muted_by_host = info.muted and not described.muted_by_host, described.muted_by_host
            publishing.mute_changed(room, uptrack, now)

    def _remove(self, uptrack: UpTrack, now: int) -> None:
        publishing.withdraw(self.room, uptrack, now, report=False)
        self._demand.forget(uptrack)
        self.publish.forget(uptrack)

    def forget(self, participant: Participant, now: int) -> None:
        """Note that a remote participant has joined here, and so no longer belongs to the other side."""
        for uptrack in list(self.publish.uptracks.values()):
            if uptrack.participant == participant.participant:
                self._remove(uptrack, now)
        self._drop(participant)

    def close(self, now: int) -> None:
        """Remove the other side's participants, until the link is back."""
        room = self.room
        del room.links[self.number]
        for uptrack in list(self.publish.uptracks.values()):
            self._remove(uptrack, now)
        for participant in list(room.participants.values()):
            if participant.link == self.number:
                self._drop(participant)
        for media in (self.publish, self.subscribe_peer):
            if media is not None:
                room.peers.remove(media.peer.number)
                room.touch(media.peer.number)
        room.context.outbox.send(self.publish.peer.close(now))
        if self.subscribe_peer is not None:
            self.subscribe_peer.close(now)
        room.context.outbox.links_to_close.append(self.number)
        distribution.refresh_all(room, now)


def close_links(room: LiveRoom, now: int) -> None:
    """End all links of a room."""
    for link in list(room.links.values()):
        link.close(now)


def _fresh_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES[SrtpProfile.AEAD_AES_128_GCM])).decode()


def _srtp(key: str) -> SrtpKey:
    return SrtpKey(suite="AEAD_AES_128_GCM", key=key)
