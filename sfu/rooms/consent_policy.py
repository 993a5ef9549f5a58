"""Policies on consent to recording: asked of each, given by joining, or demanded of whoever attends."""

from sfu.api import facts
from sfu.api.desired_state import ConsentPolicy
from sfu.api.refusal import Code, Refused
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

_IMPLIED = "implied"
"""The version of the text that a consent given by joining is noted with."""


def of(room: Room) -> ConsentPolicy:
    return room.desired.consent if room.desired is not None else "ask"


def is_owed(room: Room, participant: Participant) -> bool:
    """Return True if the meeting demands a consent that the participant has not given.

    Plain transports and other nodes' participants are let in by whoever opened them.
    """
    if participant.plain or participant.link is not None:
        return False
    return of(room) == "required" and not participant.consents.recording


def refusal() -> Refused:
    """Return what is answered to whoever owes a consent."""
    return Refused(Code.CONSENT_REQUIRED, "This meeting requires consent to being recorded.")


def imply(room: Room, participant: Participant, now: int) -> None:
    """Take joining for consent where the meeting does so; an answer that was given stands."""
    if of(room) != "implied" or participant.consents.recording is not None or participant.link is not None:
        return
    participant.consents.recording = True
    room.context.outbox.report(
        facts.ConsentAnswered(
            room=room.room,
            at=room.context.unix_ms(now),
            participant=participant.participant,
            consent="recording",
            granted=True,
            text=_IMPLIED,
        )
    )
