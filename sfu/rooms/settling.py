"""Settling: touched peers send what is due, schedule their next action, connect and close.

Peers that were touched by a call from outside (signaling, the API) settle before it returns. Those touched by media or
a timer wait for their turn: a node has thousands, and reads its sockets in between.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sfu.engine.contract import Leftover
from sfu.peers.context import Context
from sfu.peers.outbox import Failure
from sfu.peers.peer import CONSENT_LOST, PeerConnected
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.plain_subscribe_peer import PlainSubscribePeer
from sfu.rooms import data_routing, distribution, membership, publishing, subscribing
from sfu.rooms.incoming import note_decision
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.peer_index import Owner, PeerIndex, subscriber_of

_MIN_WAIT_NS = 1_000_000
_SILENT_NS = 20_000_000_000


class Settled(Protocol):
    """The node's methods that settling peers need."""

    context: Context
    peers: PeerIndex[LiveRoom]

    def take_again(self, leftovers: Sequence[Leftover], now: int) -> None:
        """Resubmit packets that the engine left until keys are there."""

    def close_if_empty(self, room: LiveRoom, now: int) -> None:
        """Close a room that everyone has left."""


class PeerKey(NamedTuple):
    """A peer's place in the schedule."""

    peer: int


def settle(node: Settled, now: int) -> None:
    """Let every touched peer act, and schedule its next action."""
    touched = node.context.touched
    while touched:
        settle_one(node, touched.pop(), now)


def settle_one(node: Settled, number: int, now: int) -> None:
    """Let a peer act, and schedule its next action."""
    owner = node.peers.get(number)
    if owner is not None:
        _settle_peer(node, owner, now)
    else:
        node.context.schedule.set(PeerKey(number), None)


def _settle_peer(node: Settled, owner: Owner[LiveRoom], now: int) -> None:
    media = owner.media
    at = media.timer()
    if at is not None and at <= now:
        media.handle_timer(now)
        data_routing.drain(owner.room, owner.participant, media, now)
        at = media.timer()
    node.context.outbox.send(media.peer.datagrams_to_send())
    while (event := media.peer.next_event()) is not None:
        if isinstance(event, PeerConnected):
            media.connected(now)
            if subscriber_of(media) is not None:
                owner.room.adaptation.hurry(now)
            node.take_again(media.peer.early_media(now), now)
            at = media.timer()
        else:
            _peer_closed(node, owner, event.reason, now)
            return
    subscription = owner.participant.subscription
    if (
        subscription is not None
        and subscription.subscribe_peer is subscriber_of(media)
        and owner.participant.session is not None
    ):
        subscribing.send_offer(owner.room, owner.participant, now)
        offer_due = subscription.offer_due()
        if offer_due is not None:
            at = offer_due if at is None else min(at, offer_due)
    if at is not None:
        at = max(at, now + _MIN_WAIT_NS)
    node.context.schedule.set(PeerKey(media.peer.number), at)


def _peer_closed(node: Settled, owner: Owner[LiveRoom], reason: str, now: int) -> None:
    context = node.context
    context.counters[f"peer_{reason}"] += 1
    note_decision(owner, now, "peer_closed", reason=reason)
    room, participant, media = owner
    context.schedule.set(PeerKey(media.peer.number), None)
    data_routing.finish(room, participant, media, now)
    if isinstance(media, PublishPeer):
        publishing.end(room, participant, now)
    elif isinstance(media, PlainSubscribePeer):
        _plain_receiver_gone(node, owner, media, now)
        return
    else:
        subscribing.end(room, participant, now)
    silent = reason == CONSENT_LOST and media.peer.connected and now - participant.heard_at > _SILENT_NS
    if not participant.signaled or silent:
        # A proxy may keep the socket of a client open whose network is down.
        dump = room.dump_flight(f"peer_{reason}", now)
        context.outbox.failures.append(Failure(room.room, dump, "a participant was lost"))
        membership.leave(room, participant, "timeout", now)
        node.close_if_empty(room, now)
    else:
        distribution.refresh_all(room, now)


def _plain_receiver_gone(node: Settled, owner: Owner[LiveRoom], media: PlainSubscribePeer, now: int) -> None:
    """Close a transport; with its last one the participant leaves, as when a host closes it."""
    room, participant, _ = owner
    subscribing.stop_sending(room, participant, media.transport, now)
    if participant.plain and not participant.senders and participant.publish is None:
        membership.leave(room, participant, "timeout", now)
        node.close_if_empty(room, now)
