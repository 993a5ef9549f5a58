"""Membership of a room: admission, resuming, losing the socket, leaving, removal."""

from sfu.api import facts, signaling
from sfu.api.desired_state import SharedView
from sfu.api.join_token import Grants, JoinClaims
from sfu.api.refusal import Code, Refused
from sfu.api.signaling_values import ParticipantInfo
from sfu.rooms import consent_policy, distribution, publishing, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant

NORMAL_CLOSURE = 1000
SERVICE_RESTART = 1012
POLICY_CLOSE = 4001
TIMED_OUT = 4002

_DETAILS = {
    Code.REMOVED: "You were removed from the meeting.",
    Code.BANNED: "You are banned from this meeting.",
    Code.ENDED: "The meeting has ended.",
    Code.REPLACED: "You joined from somewhere else.",
    Code.SHUTDOWN: "The server is restarting; please reconnect.",
    Code.MOVED: "The meeting continues on another server; please join again.",
    Code.REASSIGNED: "You were moved to another room of this meeting.",
    Code.CONSENT_REQUIRED: "This meeting requires consent to being recorded.",
}
_REPEATED_MS = 60_000  # an announcement is repeated for this long to those who come
_RESTARTS = (Code.SHUTDOWN, Code.MOVED)


def check_admission(room: LiveRoom, claims: JoinClaims, now: int) -> None:
    """Raise Refused (fatal) if the room's desired state does not admit the token's bearer."""
    desired = room.desired
    if desired is not None:
        if desired.ended and desired.returns_to is None:
            raise Refused(Code.ENDED, _DETAILS[Code.ENDED], fatal=True)
        if claims.participant in desired.removed:
            raise Refused(Code.REMOVED, _DETAILS[Code.REMOVED], fatal=True)
        if claims.user is not None and claims.user in desired.banned_users:
            raise Refused(Code.BANNED, _DETAILS[Code.BANNED], fatal=True)
        closed = desired.closes_at is not None and room.context.unix_ms(now) >= desired.closes_at
        if claims.participant in desired.elsewhere or closed or desired.ended:
            raise Refused(Code.REASSIGNED, _DETAILS[Code.REASSIGNED], fatal=True)
        back = claims.returning or claims.participant in room.participants
        if desired.locked and not back and not claims.grants.host:
            raise Refused(Code.LOCKED, "The meeting is locked.", fatal=True)
    people = sum(not participant.is_notice for participant in room.participants.values())
    full = people >= room.context.limits.participants
    if full and claims.participant not in room.participants:
        raise Refused(Code.FULL, "The meeting is full.", fatal=True)


def join(room: LiveRoom, claims: JoinClaims, session: int | None, now: int) -> Participant:
    """Admit a participant, with a signaling session or without (WHIP, WHEP); raises Refused.

    A participant that is already present starts afresh: its old session and peers are replaced.
    """
    check_admission(room, claims, now)
    known = room.participants.get(claims.participant)
    if known is not None and known.link is not None:
        room.links[known.link].forget(known, now)
    elif known is not None:
        _start_afresh(room, known, claims, session, now)
        return known
    participant = Participant.from_claims(claims, _grants_for(room, claims), now)
    participant.session = session
    participant.signaled = session is not None
    participant.joined_at = room.context.unix_ms(now)
    room.participants[participant.participant] = participant
    consent_policy.imply(room, participant, now)
    if not participant.grants.hidden:
        room.broadcast(signaling.ParticipantJoined(participant=room.info(participant)), but=participant.participant)
    room.report(
        facts.ParticipantJoined(
            room=room.room,
            at=room.context.unix_ms(now),
            participant=participant.participant,
            name=participant.name,
            user=participant.user,
            traceparent=participant.traceparent,
            info=room.info(participant),
        )
    )
    return participant


def _grants_for(room: LiveRoom, claims: JoinClaims) -> Grants:
    """Return the participant's grants: the desired state's, which override the token's."""
    if room.desired is not None:
        return room.desired.participants.get(claims.participant, claims.grants)
    return claims.grants


def _start_afresh(room: LiveRoom, participant: Participant, claims: JoinClaims, session: int | None, now: int) -> None:
    dismiss(room, participant, Code.REPLACED)
    end_media(room, participant, now)
    participant.wants.clear()
    participant.session = session
    participant.signaled = session is not None
    participant.metadata, participant.attributes = claims.metadata, dict(claims.attributes)
    participant.dialect = None
    participant.takes_all = True
    participant.heard_at = now
    participant.lost_at = None
    distribution.refresh_all(room, now)
    room.show_changed(participant, but=participant.participant)


def resume(room: LiveRoom, participant: Participant, session: int, now: int) -> None:
    """Give a participant a new signaling session; peers, tracks and wishes stay."""
    dismiss(room, participant, Code.REPLACED)
    participant.session = session
    participant.heard_at = now
    participant.lost_at = None
    room.show_changed(participant, but=participant.participant)


def welcome(room: LiveRoom, participant: Participant, now: int, *, resumed: bool) -> None:
    """Send what a participant needs to know first, and the first offer of its subscribe peer."""
    room.context.outbox.tell(
        participant.session,
        signaling.RoomInfo(
            v=signaling.VERSION,
            room=room.room,
            participant=participant.participant,
            grants=participant.grants,
            resume=participant.resume,
            participants=room.infos(participant),
            tracks=[uptrack.info() for uptrack in room.announced()],
            recording=room.taps.recording_state(),
            captions=room.taps.captions_state(),
            opened_at=room.opened_unix_ms,
            now=room.context.unix_ms(now),
            resumed=resumed,
            metadata=room.desired.metadata if room.desired is not None else "",
            shared=room.desired.shared if room.desired is not None else SharedView(),
        ),
    )
    for caption in room.captions.recent(now):
        room.context.outbox.tell(participant.session, caption)
    if room.desired is not None and room.desired.closes_at is not None:
        room.context.outbox.tell(participant.session, signaling.Closing(at=room.desired.closes_at))
    said = room.desired.announcement if room.desired is not None else None
    if said is not None and room.context.unix_ms(now) - said.at < _REPEATED_MS:
        # Whoever was between two rooms has not heard it.
        heard = signaling.Announced(id=said.id, name=said.name, text=said.text, at=said.at)
        room.context.outbox.tell(participant.session, heard)
    if resumed and participant.subscription is not None:
        subscribing.tell_offer(room, participant)
        room.touch(participant.subscription.subscribe_peer.peer.number)
        room.context.outbox.tell(participant.session, signaling.Slots(slots=participant.subscription.slots()))
    elif not consent_policy.is_owed(room, participant):
        subscribing.start(room, participant, now)


def session_lost(room: LiveRoom, participant: Participant, now: int) -> None:
    """Note that the socket closed without a goodbye; media continues until the time for resuming is over."""
    participant.session = None
    participant.lost_at = now
    room.show_changed(participant)


def dismiss(room: LiveRoom, participant: Participant, code: Code) -> None:
    """Tell a participant's session the reason for its end, and close it."""
    outbox = room.context.outbox
    outbox.tell(participant.session, Refused(code, _DETAILS[code], fatal=True).message())
    outbox.close(participant.session, SERVICE_RESTART if code in _RESTARTS else POLICY_CLOSE, code.value)
    participant.session = None


def put_out(room: LiveRoom, participant: Participant, code: Code, now: int) -> None:
    """Remove a participant against its will, for the reason `code`."""
    dismiss(room, participant, code)
    leave(room, participant, code.value, now)


def leave(room: LiveRoom, participant: Participant, reason: str, now: int) -> None:
    """Remove a participant permanently. `reason` is as in facts.ParticipantLeft."""
    room.quality.leave(participant, now)
    info = room.info(participant)
    end_media(room, participant, now)
    del room.participants[participant.participant]
    room.speakers.remove(participant.participant)
    room.context.outbox.close(participant.session, NORMAL_CLOSURE if reason == "left" else TIMED_OUT, reason)
    participant.session = None
    if not participant.grants.hidden:
        room.broadcast(signaling.ParticipantLeft(participant=participant.participant, reason=reason))
    _report_left(room, participant, info, reason, now)
    distribution.refresh_all(room, now)


def move_away(room: LiveRoom, participant: Participant, now: int) -> None:
    """Tell a participant to rejoin on another node, and count it as gone; its peers stay open."""
    dismiss(room, participant, Code.MOVED)
    room.quality.leave(participant, now)
    _report_left(room, participant, room.info(participant), Code.MOVED.value, now)


def end_media(room: LiveRoom, participant: Participant, now: int) -> None:
    """Close a participant's peers."""
    publishing.end(room, participant, now)
    subscribing.end(room, participant, now)


def _report_left(room: LiveRoom, participant: Participant, info: ParticipantInfo, reason: str, now: int) -> None:
    at = room.context.unix_ms(now)
    who = participant.participant
    room.report(facts.ParticipantLeft(room=room.room, at=at, participant=who, reason=reason, info=info))


def expire(room: LiveRoom, now: int) -> None:
    """Remove those who did not reconnect in time."""
    for participant in list(room.participants.values()):
        lost_at = participant.lost_at
        if lost_at is not None and now - lost_at >= room.context.limits.resume_ns:
            leave(room, participant, "timeout", now)
