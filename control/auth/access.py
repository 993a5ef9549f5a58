"""Authorization: the access that each route declares, and the caller's standing in a meeting.

Every route declares one `Access`; there is no default. Rights in a meeting come from its rows alone, so a role change
or a removal takes effect at the next request.
"""

from dataclasses import dataclass
from enum import Enum, auto

from control.auth.principal import Principal
from control.config import ControlConfig
from control.database import Connection
from control.identity.tokens import GuestPass
from control.problem import Problem, forbidden, not_found
from control.store import meetings, participants, recordings, transcript
from control.store.meetings import MeetingRow
from control.store.participants import HOSTS, ParticipantRow, Role
from control.store.recordings import RecordingRow

_TO_A_SECOND_FACTOR = (
    "/api/v1/users/totp/",
    "/api/v1/users/passkeys",
    "/api/v1/users/profile",
    "/api/v1/users/proof",
    "/api/v1/auth/logout",
    "/api/v1/auth/session",
    "/api/v1/csrf-token",
)


class Access(Enum):
    """The callers that a route admits."""

    PUBLIC = auto()
    """Anyone; credentials are ignored."""
    ANYONE = auto()
    """Anyone; the response depends on the caller."""
    SIGNED_IN = auto()
    """An account or a guest; the handler decides by the resource."""
    USER = auto()
    ADMIN = auto()
    MEETING = auto()
    """Anyone who knows the meeting's id."""
    PARTICIPANT = auto()
    """A participant of the meeting that was not removed; guests until it ends."""
    TEXT = auto()
    """A host, or a participant who may read chat and captions: a guest in the room, or an account that has been in it.

    If the meeting requires consent to recording, only those who gave it.
    """
    RECORDER = auto()
    """A host, or a participant if the meeting lets participants record."""
    HOST = auto()
    """Host, co-host or administrator."""
    OWNER = auto()
    """The host or an administrator."""
    RECORDING = auto()
    """A host of the recorded meeting; for others, the recording does not exist."""


IN_MEETING = frozenset({Access.MEETING, Access.PARTICIPANT, Access.TEXT, Access.RECORDER, Access.HOST, Access.OWNER})


@dataclass(frozen=True, slots=True)
class Standing:
    """A meeting and the caller's role in it; `role` is None if it never joined or was removed."""

    meeting: MeetingRow
    participant: ParticipantRow | None
    role: Role | None
    admin: bool
    removed: bool
    recording: RecordingRow | None = None

    @property
    def is_host(self) -> bool:
        return self.admin or self.role in HOSTS


def sign_in_required() -> Problem:
    return Problem(401, "not_signed_in", "Sign in first.", {"WWW-Authenticate": 'Bearer realm="parley"'})


def check_account(access: Access, principal: Principal | None) -> None:
    """Enforce SIGNED_IN, USER and ADMIN."""
    if principal is None:
        raise sign_in_required()
    if access is Access.SIGNED_IN:
        return
    if principal.user is None:
        raise forbidden("Guests may not do this.")
    if access is Access.ADMIN and principal.user.role != "admin":
        raise forbidden("Only administrators may do this.")


def check_second_factor(config: ControlConfig, path: str, principal: Principal | None) -> None:
    """Refuse a session without a second factor if one is required, except on routes that set one up."""
    user = None if principal is None else principal.user
    if user is None or user.strong or not config.demands_second_factor(user.role):
        return
    if not path.startswith(_TO_A_SECOND_FACTOR):
        raise Problem(403, "second_factor_setup", "This server requires a second factor. Set one up first.")


def check_proof(principal: Principal | None) -> None:
    """Raise Problem 403 on a route that could take over the account, unless identity was proved recently."""
    if principal is not None and principal.user is not None and not principal.user.proved:
        raise Problem(403, "proof_needed", "Confirm your identity first, with your password or a passkey.")


def check_scope(scope: str | None, principal: Principal | None) -> None:
    """Refuse an API key without the route's scope. A route without a scope takes no keys."""
    if principal is None or principal.scopes is None:
        return
    if scope is None or scope not in principal.scopes:
        raise Problem(403, "scope", "This API key may not do this.")


async def in_meeting(connection: Connection, access: Access, principal: Principal | None, meeting_id: str) -> Standing:
    """Return the standing of `principal` in a meeting if `access` allows it; raises Problem 401, 403 or 404."""
    meeting = await meetings.by_id(connection, meeting_id)
    if meeting is None:
        raise not_found("This meeting does not exist.")
    standing = await _standing(connection, principal, meeting)
    if access is not Access.MEETING and not _allows(access, principal, standing):
        raise sign_in_required() if principal is None else forbidden()
    if access is Access.TEXT and not standing.is_host:
        await _check_text(connection, standing)
    return standing


async def _check_text(connection: Connection, standing: Standing) -> None:
    """Raise Problem 403 for callers who never joined, guests outside the room, and those who must still consent."""
    person = standing.participant
    if person is None or person.joined_at is None:
        raise Problem(403, "not_in_room", "Connect to the meeting first.")
    if person.user_id is None and not await participants.is_inside(connection, person.id):
        raise Problem(403, "not_in_room", "Guests can see this only while they are in the meeting.")
    if standing.meeting.settings.get("consent") == "required" and not await transcript.consented(
        connection, standing.meeting.id, person.id
    ):
        raise Problem(403, "consent_required", "This meeting requires consent to being recorded.")


async def of_recording(connection: Connection, principal: Principal | None, recording_id: str) -> Standing:
    """Return the caller's standing in the meeting of a recording; raises Problem 404 if it may not access it."""
    if principal is None:
        raise sign_in_required()
    recording = await recordings.by_id(connection, recording_id)
    meeting = None if recording is None else await meetings.by_id(connection, recording.meeting_id)
    if recording is None or meeting is None:
        raise not_found("This recording does not exist.")
    standing = await _standing(connection, principal, meeting)
    if not standing.is_host:
        raise not_found("This recording does not exist.")
    return Standing(meeting, standing.participant, standing.role, standing.admin, standing.removed, recording)


async def _standing(connection: Connection, principal: Principal | None, meeting: MeetingRow) -> Standing:
    participant = None
    admin = False
    owner = False
    if principal is not None and principal.user is not None:
        participant = await participants.by_user(connection, meeting.id, principal.user.user)
        admin = principal.user.role == "admin"
        owner = meeting.host_id == principal.user.user
    elif principal is not None and principal.guest is not None and meeting.status != "ended":
        participant = await _guest(connection, principal.guest, meeting)
    removed = participant is not None and participant.removed_at is not None
    role: Role | None = None
    if owner:
        role = "host"
    elif participant is not None and not removed:
        role = participant.role
    elif meeting.breakout_of is not None and participant is None:
        role = await _host_of_all(connection, principal, meeting.breakout_of)
    return Standing(meeting, participant, role, admin, removed)


async def _guest(connection: Connection, guest: GuestPass, meeting: MeetingRow) -> ParticipantRow | None:
    """Return a guest's row in its meeting, or in a breakout room that it has been in."""
    if guest.meeting == meeting.id:
        return await participants.by_id(connection, meeting.id, guest.participant)
    if guest.meeting == meeting.breakout_of:
        return await participants.by_main(connection, meeting.id, guest.participant)
    return None


async def _host_of_all(connection: Connection, principal: Principal | None, main: str) -> Role | None:
    """Return the role of a co-host of the main room in breakout rooms that it has not been in."""
    if principal is None or principal.user is None:
        return None
    person = await participants.by_user(connection, main, principal.user.user)
    return person.role if person is not None and person.removed_at is None and person.role in HOSTS else None


def _allows(access: Access, principal: Principal | None, standing: Standing) -> bool:
    if principal is None:
        return False
    match access:
        case Access.PARTICIPANT | Access.TEXT:
            return standing.admin or standing.role is not None
        case Access.RECORDER:
            may = bool(standing.meeting.settings.get("may_record", False))
            return standing.is_host or (may and standing.role == "participant")
        case Access.HOST:
            return standing.is_host
        case Access.OWNER:
            return standing.admin or standing.role == "host"
    return False
