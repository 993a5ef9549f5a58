"""Gestures: raised hands, which last until they are lowered, and reactions, which are shown and forgotten."""

import msgspec

from sfu.api import facts, signaling
from sfu.api.refusal import Code, Refused
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

_LONGEST_EMOJI = 16
"""The maximum number of characters; families and flags consist of many."""


def hand(room: Room, participant: Participant, message: signaling.Hand, now: int) -> None:
    """Raise or lower the participant's own hand, or as a host lower another's; raises Refused."""
    _pay(participant, now)
    if message.participant is None or message.participant == participant.participant:
        _set(room, participant, room.context.unix_ms(now) if message.raised else 0)
        return
    if not participant.grants.host:
        raise Refused(Code.NOT_PERMITTED, "Only hosts lower the hands of others.")
    if message.raised:
        raise Refused(Code.BAD_MESSAGE, "You cannot raise another participant's hand.")
    if message.participant not in room.participants:
        raise Refused(Code.UNKNOWN_PARTICIPANT, "There is no such participant.")
    lower(room, message)


def lower(room: Room, message: signaling.Hand, *, but: int | None = None) -> None:
    """Lower a hand for a host, here or on its owner's node; `but` is the link that the request came by."""
    owner = room.participants.get(message.participant or "")
    if owner is None:
        return
    if owner.link is None:
        _set(room, owner, 0)
    else:
        room.relay(message, but=but)


def react(room: Room, participant: Participant, message: signaling.Reaction, now: int) -> None:
    """Show an emoji to everybody; raises Refused."""
    _pay(participant, now)
    if message.emoji.isascii() or len(message.emoji) > _LONGEST_EMOJI:
        raise Refused(Code.BAD_MESSAGE, f"A reaction must be an emoji of at most {_LONGEST_EMOJI} characters.")
    shown = msgspec.structs.replace(message, participant=participant.participant)
    if message.message is None:
        show(room, msgspec.structs.replace(shown, on=True, to=None))
        return
    if not participant.grants.chat:
        raise Refused(Code.NOT_PERMITTED, "Chat is not allowed for you in this meeting.")
    show(room, shown)
    room.report(
        facts.MessageReacted(
            room=room.room,
            at=room.context.unix_ms(now),
            message=message.message,
            participant=participant.participant,
            emoji=message.emoji,
            on=message.on,
        )
    )


def show(room: Room, shown: signaling.Reaction, *, but: int | None = None) -> None:
    """Show a reaction to all, or to the two of a private message; `but` is the link that it came by."""
    if shown.to is None:
        room.broadcast(shown)
    else:
        for name in dict.fromkeys((shown.to, shown.participant)):
            person = room.participants.get(name or "")
            if person is not None:
                room.context.outbox.tell(person.session, shown)
    room.relay(shown, but=but)


def _pay(participant: Participant, now: int) -> None:
    if not participant.gesture_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many gestures; wait a moment.")


def _set(room: Room, participant: Participant, since: int) -> None:
    if bool(since) == bool(participant.hand):
        return
    participant.hand = since
    room.show_changed(participant)
    for link in room.links.values():
        link.is_behind = True
