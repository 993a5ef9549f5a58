"""Admission tokens: an application's server admits its own users, who need no account here."""

from datetime import UTC, datetime, timedelta

from control.api.metadata import check_size
from control.api.participant_types import Admission, CreateAdmission
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.meetings import grants
from control.meetings.ending import ended
from control.problem import Problem
from control.store import audit, meetings, participants, rooms
from control.store.participants import ParticipantRow
from sfu.api.desired_state import DesiredState

endpoints = Endpoints("meetings", scope="admissions")
_MAX_IDENTITIES = 10_000


@endpoints.route(
    "POST",
    "/api/v1/meetings/<meeting>/admissions",
    Access.HOST,
    body=CreateAdmission,
    answer=Admission,
    status=201,
)
async def create_admission(call: Call, meeting: str, body: CreateAdmission) -> Admission:
    """Return a token with which an application's user joins, without account, passcode or lobby, as often as needed.

    If the identity is known, its name and metadata are those of the request as of the next join, and its role at once.
    If the participant is removed, its tokens no longer admit anyone.
    """
    about = call.standing.meeting
    if about.breakout_of is not None:
        raise Problem(409, "breakout", "This is a breakout room. Admit people to its main meeting instead.")
    if about.status == "ended":
        raise ended()
    check_size(body.metadata or "")
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        person = await participants.with_identity(connection, meeting, body.identity, body.name)
        if await participants.count_identities(connection, meeting) > _MAX_IDENTITIES:
            raise Problem(409, "too_many_identities", f"A meeting has at most {_MAX_IDENTITIES} identities.")
        if person.removed_at is not None:
            raise Problem(403, "removed", "A host removed this participant. Readmit it first.")
        if body.metadata is not None:
            await participants.set_metadata(connection, person.id, body.metadata)
        state = await _give_role(call, connection, person, body)
        detail = {"meeting": meeting, "identity": body.identity, "role": body.role, "ttl": body.ttl}
        await audit.write(connection, call.actor, "admission.created", person.id, call.address, **detail)
    call.services.nodes.push(state)
    token = call.services.tokens.admission(person.id, meeting, body.ttl)
    return Admission(
        token=token,
        participant=person.id,
        identity=body.identity,
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=body.ttl),
        join_url=f"{call.services.config.link_origin}/api/v1/meetings/{meeting}/join",
        page_url=f"{call.services.config.link_origin}/m/{meeting}#token={token}",
    )


async def _give_role(
    call: Call, connection: Connection, person: ParticipantRow, body: CreateAdmission
) -> DesiredState | None:
    """Change a participant's role; return the room's desired state, or None if the role stays.

    The state needs no grants for somebody who has not been in the room: joining gives those of the role.
    """
    if person.role == body.role:
        return None
    await participants.set_role(connection, person.id, body.role)
    settings = grants.settings_of(call.standing.meeting)
    seated = await participants.is_seated(connection, person.id)

    def edit(state: DesiredState) -> DesiredState:
        if not seated and person.id not in state.participants:
            return state
        return grants.with_role(state, person.id, person.role, body.role, settings)

    return await rooms.edit_state(connection, person.meeting_id, edit)
