"""Subscribing by participants: the subscribe peer, its offers and answers, and wishes."""

from collections.abc import Iterable

from sfu.api import signaling, signaling_values
from sfu.api.refusal import Code, Refused
from sfu.peers.duplex_peer import DuplexPeer
from sfu.peers.subscribe.described_subscription import DescribedSubscription
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.peers.subscribe.subscription import Subscription
from sfu.rooms import distribution
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner


def start(room: LiveRoom, participant: Participant, now: int) -> None:
    """Give the participant a fresh subscribe peer and send its first offer at once.

    A client that makes the offers itself, for one peer, gets its subscription with the first offer.
    """
    end(room, participant, now)
    subscription = _new_subscription(room, participant, now) if participant.grants.subscribe else None
    if subscription is None:
        return
    subscription.subscribe_peer.flight = room.flight.of(participant.participant)
    participant.subscription = subscription
    participant.paused = {}
    if not isinstance(participant.publish, DuplexPeer):
        room.peers.add(Owner(room, participant, subscription.subscribe_peer))
    distribution.refresh(room, participant, now)
    send_offer(room, participant, now)
    room.touch(subscription.subscribe_peer.peer.number)


def _new_subscription(room: LiveRoom, participant: Participant, now: int) -> Subscription | None:
    dialect = participant.dialect
    if dialect is None:
        return Subscription(room.context, now)
    if dialect.has_one_peer:
        publish = participant.publish
        return publish.receive_too(room.context, dialect.name_track, now) if isinstance(publish, DuplexPeer) else None
    return DescribedSubscription(room.context, now, dialect.name_track, dialect.subscribe_labels)


def send_offer(room: LiveRoom, participant: Participant, now: int) -> None:
    """Send the offer that is due, if any, or ask the client for one."""
    if participant.subscription is None or participant.session is None:
        return
    required = participant.subscription.take_requirement(now)
    if required is not None:
        wanted = signaling.SectionsWanted(audio=required.audio, video=required.video)
        room.context.outbox.tell(participant.session, wanted)
    offer = participant.subscription.take_offer(now)
    if offer is not None:
        tell_offer(room, participant)


def tell_offer(room: LiveRoom, participant: Participant) -> None:
    """Send the offer in flight again, since it may have been lost with the session."""
    subscription = participant.subscription
    if subscription is not None and subscription.offer_in_flight is not None:
        offer = subscription.offer_in_flight
        room.context.outbox.tell(participant.session, signaling.Offer(peer="subscribe", sdp=offer.sdp, id=offer.id))


def answer(room: LiveRoom, participant: Participant, offer_id: int, sdp: str, now: int) -> None:
    """Take the participant's answer; raises Refused."""
    subscription = participant.subscription
    if subscription is None:
        raise Refused(Code.UNEXPECTED_ANSWER, "There is no subscribe peer.")
    try:
        expected = subscription.answer(offer_id, sdp, now)
    except ValueError as error:
        raise Refused(Code.ANSWER_REFUSED, f"Invalid answer: {error}") from error
    if not expected:
        raise Refused(Code.UNEXPECTED_ANSWER, "No offer with this id awaits an answer.")
    distribution.refresh(room, participant, now)
    room.touch(subscription.subscribe_peer.peer.number)


def set_wants(
    room: LiveRoom, participant: Participant, wants: Iterable[signaling_values.WantedTrack], now: int
) -> None:
    """Take the participant's wishes; those for unknown tracks are ignored."""
    if not participant.grants.subscribe:
        raise Refused(Code.NOT_PERMITTED, "You may not receive here.")
    for wanted in wants:
        if wanted.track in room.uptracks:
            participant.wants[wanted.track] = wanted
    distribution.refresh(room, participant, now)
    if participant.subscription is not None:
        room.touch(participant.subscription.subscribe_peer.peer.number)


def end(room: LiveRoom, participant: Participant, now: int) -> None:
    """Close the participant's subscribe peer and sending transports."""
    if isinstance(participant.publish, DuplexPeer):
        participant.publish.receive_no_more()
        participant.subscription = None
    for holder in (participant.subscription, participant.whep_player):
        if holder is not None:
            _close(room, holder.subscribe_peer, now)
    for subscribe_peer in participant.senders.values():
        _close(room, subscribe_peer, now)
    participant.subscription = None
    participant.whep_player = None
    participant.senders.clear()


def stop_sending(room: LiveRoom, participant: Participant, transport: str, now: int) -> None:
    """Close one of the plain transports that send to the participant."""
    _close(room, participant.senders.pop(transport), now)


def _close(room: LiveRoom, subscribe_peer: SubscribePeer, now: int) -> None:
    room.peers.remove(subscribe_peer.peer.number)
    room.touch(subscribe_peer.peer.number)
    subscribe_peer.close(now)
