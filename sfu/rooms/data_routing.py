"""Data channel messages from one participant to others: permission, limits and receivers."""

from collections.abc import Iterable

from sfu.api.cascade_link import LinkData
from sfu.api.refusal import Code, Refused
from sfu.api.signaling import Chat
from sfu.formats import data_message
from sfu.formats.data_message import DataMessage
from sfu.peers.data_channels import DataItem, Sent
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms import chat
from sfu.rooms.dialect import DataPacket
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room


class _TooMuch(Refused):
    """The sender has used up its own or the room's allowance."""

    def __init__(self) -> None:
        super().__init__(Code.TOO_MANY_REQUESTS, "Too much data; a message was not passed on.")


def drain(room: Room, participant: Participant, media: PublishPeer | SubscribePeer, now: int) -> None:
    """Pass on the messages that have arrived over a peer's data channels.

    Reliable messages beyond the allowance wait, and so do those after them, which slows down their sender.
    """
    came = media.take_data(now)
    waiting = _take(room, participant, came, now) if came else []
    for _ in range(media.hold_data(waiting, now) if waiting else 0):
        _refuse(room, participant, _TooMuch(), now, reliable=True)


def finish(room: Room, participant: Participant, media: PublishPeer | SubscribePeer, now: int) -> None:
    """Pass on the messages that still wait when their peer closes: the sender has been told that they have arrived.

    They are few enough to skip the sender's allowance.
    """
    for message in media.release_data():
        try:
            _pass_on(room, participant, message, now, is_last=True)
        except Refused as refused:
            _refuse(room, participant, refused, now, reliable=False)


def _take(room: Room, participant: Participant, messages: Iterable[DataItem], now: int) -> list[DataItem]:
    """Pass on messages; return those that must wait. If a reliable one is refused, the sender is told."""
    waiting: list[DataItem] = []
    for message in messages:
        if waiting and message.reliable:
            waiting.append(message)
            continue
        try:
            _pass_on(room, participant, message, now)
        except _TooMuch as refused:
            if message.reliable:
                waiting.append(message)
            else:
                _refuse(room, participant, refused, now, reliable=False)
        except Refused as refused:
            _refuse(room, participant, refused, now, reliable=message.reliable)
    return waiting


def _refuse(room: Room, participant: Participant, refused: Refused, now: int, *, reliable: bool) -> None:
    room.context.counters[f"data_dropped_{refused.code.value}"] += 1
    if reliable and participant.data.tells(now):
        room.context.outbox.tell(participant.session, refused.message())


def _pass_on(room: Room, participant: Participant, came: DataItem, now: int, *, is_last: bool = False) -> None:
    if not participant.grants.data:
        raise Refused(Code.NOT_PERMITTED, "You may not send data here.")
    if came.of_track:
        _pass_on_packet(room, participant, came.data, now)
        return
    dialect = participant.dialect
    try:
        message = dialect.read_data(came.data) if dialect else data_message.parse(came.data)
    except ValueError as error:
        raise Refused(Code.BAD_MESSAGE, f"Invalid data message: {error}") from error
    if message is None:
        return
    receivers = len(_receivers(room, participant.participant, message.names)) + len(room.links)
    if not room.data.take(now, receivers):
        raise _TooMuch
    if not is_last and not participant.data.take(len(came.data), now):
        room.data.give_back(receivers)
        raise _TooMuch
    for text in dialect.chat_of(message) if dialect else ():
        chat.send(room, participant, Chat(text=text), now)
    unknown = sum(name not in room.participants for name in message.names)
    if unknown:
        room.context.counters["data_dropped_unknown_receiver"] += unknown
    said = LinkData(
        participant=participant.participant,
        names=list(message.names),
        topic=message.topic,
        payload=message.payload,
        reliable=came.reliable,
    )
    _spread(room, said, now, but=None)


def _pass_on_packet(room: Room, participant: Participant, data: bytes, now: int) -> None:
    try:
        packet = participant.dialect.read_packet(data) if participant.dialect else None
    except ValueError as error:
        raise Refused(Code.BAD_MESSAGE, f"Invalid packet: {error}") from error
    if packet is None:
        room.context.counters["data_dropped_unknown_track"] += 1
        return
    written = _subscribed(room, packet)
    receivers = len(written) + len(room.links)
    if not room.data.take(now, receivers):
        raise _TooMuch
    if not participant.packets.take(len(data), now):
        room.data.give_back(receivers)
        raise _TooMuch
    _deliver_packets(room, written, now)
    for link in room.links.values():
        link.relay_data(
            LinkData(participant=packet.participant, track=packet.track, payload=packet.data, reliable=False)
        )


def _subscribed(room: Room, packet: DataPacket) -> list[tuple[Participant, bytes]]:
    """Return this node's subscribers of a packet's track, and the packet for each."""
    sender = room.participants.get(packet.participant)
    found = []
    for receiver in room.participants.values():
        if receiver.dialect is not None and sender is not None and sender.shares(packet.track, receiver):
            written = receiver.dialect.write_packet(packet)
            if written is not None:
                found.append((receiver, written))
    return found


def _deliver_packets(room: Room, written: Iterable[tuple[Participant, bytes]], now: int) -> None:
    for receiver, data in written:
        _deliver(room, receiver, DataItem(data, False, True), now)


def announce(room: Room, said: LinkData, now: int) -> None:
    """Pass on an application's message to participants on this node; the other nodes get it themselves."""
    _hand_out(room, said, now)


def relayed(room: Room, said: LinkData, link: int, now: int) -> None:
    """Pass on a message that another of the room's nodes has permitted; raises ValueError for an invalid one."""
    _spread(room, said, now, but=link)


def _spread(room: Room, said: LinkData, now: int, *, but: int | None) -> None:
    _hand_out(room, said, now)
    known = [room.participants[name] for name in said.names if name in room.participants]
    for number, link in room.links.items():
        if number != but and (not said.names or any(entry.link == number for entry in known)):
            link.relay_data(said)


def _hand_out(room: Room, said: LinkData, now: int) -> None:
    if said.track:
        _deliver_packets(room, _subscribed(room, DataPacket(said.participant, said.track, said.payload)), now)
        return
    message = DataMessage(said.payload, said.topic, (said.participant,))
    passed = data_message.serialize(message)
    for receiver in _receivers(room, said.participant, tuple(said.names)):
        written = receiver.dialect.write_data(message, reliable=said.reliable) if receiver.dialect else passed
        if written is not None:
            _deliver(room, receiver, DataItem(written, said.reliable), now)


def _receivers(room: Room, sender: str, names: tuple[str, ...]) -> list[Participant]:
    """Return the receivers on this node: those named, or all but the sender."""
    if not names:
        everyone = room.participants.values()
        return [entry for entry in everyone if entry.participant != sender and entry.subscription]
    found = [room.participants.get(name) for name in dict.fromkeys(names)]
    return [entry for entry in found if entry is not None and entry.subscription]


def _deliver(room: Room, receiver: Participant, message: DataItem, now: int) -> None:
    subscription = receiver.subscription
    if subscription is None:
        return
    outcome = subscription.subscribe_peer.send_data(message, now)
    room.context.counters[outcome.value] += 1
    room.touch(subscription.subscribe_peer.peer.number)
    if outcome is Sent.OVERFLOWED:
        refused = Refused(Code.DATA_OVERFLOW, "You received data too slowly; the reliable channel is closed.")
        room.context.outbox.tell(receiver.session, refused.message())
