"""Messages of data channels from one participant to others: who may, how much, and to whom."""

from collections.abc import Iterable

from sfu.formats import data_message
from sfu.formats.data_message import DataMessage
from sfu.rooms.data_channels import Came, Sent
from sfu.rooms.participant import Participant
from sfu.rooms.refusal import Code, Refused
from sfu.rooms.room import Room


def take(room: Room, participant: Participant, messages: Iterable[Came], now: int) -> None:
    """Pass on what a participant's data channels brought; of a reliable message that is refused it is told."""
    for message in messages:
        try:
            _pass_on(room, participant, message, now)
        except Refused as refused:
            room.context.counters[f"data_dropped_{refused.code.value}"] += 1
            if message.reliable and participant.data.tells(now):
                room.context.outbox.tell(participant.session, refused.message())


def _pass_on(room: Room, participant: Participant, came: Came, now: int) -> None:
    if not participant.grants.data:
        raise Refused(Code.NOT_PERMITTED, "You may not send data here.")
    try:
        message = data_message.parse(came.data)
    except ValueError as error:
        raise Refused(Code.BAD_MESSAGE, f"The data message is not understood: {error}") from error
    receivers = _receivers(room, participant, message.names)
    if not (participant.data.take(len(came.data), now) and room.data.take(now, len(receivers))):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too much data; a message was not passed on.")
    passed = data_message.serialise(DataMessage(message.payload, message.topic, (participant.participant,)))
    for receiver in receivers:
        _deliver(room, receiver, Came(passed, came.reliable), now)


def _receivers(room: Room, sender: Participant, names: tuple[str, ...]) -> list[Participant]:
    """Those named, or all but the sender, as far as they are at this node and receive."""
    if not names:
        return [entry for entry in room.participants.values() if entry is not sender and entry.subscription]
    found = [room.participants.get(name) for name in dict.fromkeys(names)]
    room.context.counters["data_dropped_unknown_receiver"] += found.count(None)
    return [entry for entry in found if entry is not None and entry.subscription]


def _deliver(room: Room, receiver: Participant, message: Came, now: int) -> None:
    subscription = receiver.subscription
    if subscription is None:
        return
    outcome = subscription.egress.send_data(message.data, now, reliable=message.reliable)
    room.context.counters[outcome.value] += 1
    room.touch(subscription.egress.peer.number)
    if outcome is Sent.OVERFLOWED:
        refused = Refused(Code.DATA_OVERFLOW, "Data came faster than you took it; the reliable channel is closed.")
        room.context.outbox.tell(receiver.session, refused.message())
