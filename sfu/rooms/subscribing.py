"""Subscribing by participants: the subscribe peer, its offers and answers, and wishes."""

from collections.abc import Iterable

from sfu.api import signaling, signaling_values
from sfu.api.refusal import Code, Refused
from sfu.peers.subscribe.described_subscription import DescribedSubscription
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.peers.subscribe.subscription import Subscription
from sfu.rooms import distribution
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner


def start(room: LiveRoom, participant: Participant, now: int) -> None:
    """Give the participant a fresh subscribe peer and send its first offer at once."""
    end(room, participant, now)
    if not participant.grants.subscribe:
        return
    subscription = _new_subscription(room, participant, now)
    subscription.subscribe_peer.flight = room.flight.of(participant.participant)
    participant.subscription = subscription
    participant.paused = {}
    room.peers.add(Owner(room, participant, subscription.subscribe_peer))
    distribution.refresh(room, participant, now)
    send_offer(room, participant, now)
    room.touch(subscription.subscribe_peer.peer.number)


def _new_subscription(room: LiveRoom, participant: Participant, now: int) -> Subscription:
    dialect = participant.dialect
    if dialect is None:
        return Subscription(room.context, now)
    return DescribedSubscription(room.context, now, dialect.name_track, dialect.subscribe_labels)


def send_offer(room: LiveRoom, participant: Participant, now: int) -> None:
    """Send the offer that is due, if any."""
    if participant.subscription is None or participant.session is None:
        return
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
