"""Consents of participants to being recorded, captioned or analysed. Sinks get nothing of a participant without
consent.
"""

from sfu.api import facts, signaling
from sfu.api.refusal import Code, Refused
from sfu.rooms import consent_policy, membership, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant

_MAX_TEXT = 200


def answer(room: LiveRoom, participant: Participant, message: signaling.Consent, now: int) -> None:
    """Take a participant's answers, open or close its taps, and report what changed; raises Refused.

    If the meeting requires consent to recording, the participant takes part once it is given, and is removed on
    refusal.
    """
    if len(message.text) > _MAX_TEXT:
        raise Refused(Code.BAD_MESSAGE, "`text` must name the version of the consent text, not contain the text.")
    consents = participant.consents
    owed = consent_policy.is_owed(room, participant)
    for name, granted in (
        ("recording", message.recording),
        ("captions", message.captions),
        ("analysis", message.analysis),
    ):
        if granted is None or getattr(consents, name) == granted:
            continue
        setattr(consents, name, granted)
        room.report(
            facts.ConsentAnswered(
                room=room.room,
                at=room.context.unix_ms(now),
                participant=participant.participant,
                consent=name,
                granted=granted,
                text=message.text,
            )
        )
    room.taps.update(now)
    if message.recording is False and consent_policy.is_owed(room, participant):
        membership.put_out(room, participant, Code.CONSENT_REQUIRED, now)
    elif owed and not consent_policy.is_owed(room, participant) and participant.signaled:
        subscribing.start(room, participant, now)
