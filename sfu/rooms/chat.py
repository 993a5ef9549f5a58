"""Chat messages: limited in size and rate, passed on, and reported as facts."""

from sfu.api import facts, signaling
from sfu.api.refusal import Code, Refused
from sfu.peers.context import random_id
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room


def send(room: Room, participant: Participant, message: signaling.Chat, now: int) -> None:
    """Send a chat message to all, or to one participant and back to its sender; raises Refused."""
    if not participant.grants.chat:
        raise Refused(Code.NOT_PERMITTED, "You are not allowed to chat in this meeting.")
    if not message.text.strip() or len(message.text) > room.context.limits.chat_characters:
        raise Refused(Code.BAD_MESSAGE, f"A chat message has 1 to {room.context.limits.chat_characters} characters.")
    if not participant.chat_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many chat messages; wait a moment.")
    at = room.context.unix_ms(now)
    sent = signaling.Chat(
        text=message.text,
        to=message.to,
        reply_to=message.reply_to,
        file=message.file,
        id=random_id("m"),
        participant=participant.participant,
        name=participant.name,
        at=at,
    )
    if message.to is not None and message.to not in room.participants:
        raise Refused(Code.UNKNOWN_PARTICIPANT, "There is no such participant.")
    deliver(room, sent)
    room.report(
        facts.ChatSent(
            room=room.room,
            at=at,
            message=sent.id or "",
            participant=participant.participant,
            name=participant.name,
            text=message.text,
            to=message.to,
            reply_to=message.reply_to,
            file=message.file,
        )
    )


def deliver(room: Room, sent: signaling.Chat) -> None:
    """Send a message to all, or to its receiver and its sender if they are on this node."""
    if sent.to is None:
        room.broadcast(sent)
        room.relay(sent)
        return
    people = [room.participants.get(name or "") for name in dict.fromkeys((sent.to, sent.participant))]
    for person in people:
        if person is not None:
            room.context.outbox.tell(person.session, sent)
    receiver = people[0]
    if receiver is not None and receiver.link is not None:
        room.relay(sent)
