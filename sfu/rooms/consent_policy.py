"""Policies on consent to recording: asked for, given by joining, or required to attend."""

from sfu.api import facts
from sfu.api.desired_state import ConsentPolicy
from sfu.api.refusal import Code, Refused
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

_IMPLIED = "implied"
"""The text version recorded with a consent that was given by joining."""


def of(room: Room) -> ConsentPolicy:
    return room.desired.consent if room.desired is not None else "ask"


def is_owed(room: Room, participant: Participant) -> bool:
    """Return True if the meeting demands a consent that the participant has not given.

    For plain transports and other nodes' participants, the opener is responsible.
    """
    if participant.plain or participant.link is not None:
        return False
    return of(room) == "required" and not participant.consents.recording


def refusal() -> Refused:
    """Return the refusal for a participant without the required consent."""
    return Refused(Code.CONSENT_REQUIRED, "This meeting requires consent to being recorded.")


def imply(room: Room, participant: Participant, now: int) -> None:
    """Count joining as consent if the meeting's policy does; an earlier answer stays."""
    if of(room) != "implied" or participant.consents.recording is not None or participant.link is not None:
        return
    participant.consents.recording = True
    room.report(
        facts.ConsentAnswered(
            room=room.room,
            at=room.context.unix_ms(now),
            participant=participant.participant,
            consent="recording",
            granted=True,
            text=_IMPLIED,
        )
    )
