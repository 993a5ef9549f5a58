"""Participants of a meeting: list, add, change roles and names, mute, remove and readmit.

Each action edits the desired state, except for names: a node shows a new name at once, later joins bring it.
"""

import functools
from collections.abc import Callable

import msgspec

from control.api.paging import page_of, window_of
from control.api.participant_types import (
    AddParticipant,
    ChangeRole,
    MuteAll,
    MuteParticipant,
    Participant,
    ParticipantQuery,
    Participants,
    RemoveParticipant,
    RenameParticipant,
    UnmuteSource,
)
from control.api.types import Done
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.meetings import breakouts, grants
from control.meetings.telling import tell
from control.problem import Problem, forbidden, not_found
from control.store import meetings, participants, rooms, users
from control.store.breakouts import lock as lock_all
from control.store.meetings import MeetingRow
from control.store.participants import HOSTS, ParticipantRow
from sfu.api.desired_state import DesiredState
from sfu.api.room_acts import DescribeParticipant

endpoints = Endpoints("participants", scope="meetings")
Edit = Callable[[DesiredState, MeetingRow, ParticipantRow], DesiredState]
_PATH = "/api/v1/meetings/<meeting>/participants"


def public_participant(person: ParticipantRow) -> Participant:
    return Participant.from_row(
        person, participant=person.id, user=person.user_id, removed=person.removed_at is not None
    )


@endpoints.route("GET", _PATH, Access.PARTICIPANT, query=ParticipantQuery, answer=Participants)
async def list_participants(call: Call, meeting: str, query: ParticipantQuery) -> Participants:
    """List the meeting's participants, past and present, in the order in which they came."""
    window = window_of(query, ParticipantRow)
    async with call.services.pool.acquire() as connection:
        rows = await participants.page(connection, meeting, window, present=query.present, search=query.search)
    page, following = page_of(rows, query)
    return Participants(participants=[public_participant(row) for row in page], next=following)


@endpoints.route("POST", _PATH, Access.HOST, body=AddParticipant, answer=Participant, status=201)
async def add_participant(call: Call, meeting: str, body: AddParticipant) -> Participant:
    """Add an account as a participant in advance. It needs no passcode and has the given role."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_login(connection, body.username)
        if user is None:
            raise not_found("There is no such account.")
        if await participants.by_user(connection, meeting, user.id) is not None:
            raise Problem(409, "participant_exists", "This account is already a participant.")
        row = await participants.add(connection, meeting, user.id, user.display_name, body.role)
    return public_participant(row)


@endpoints.route("PUT", f"{_PATH}/<participant>/role", Access.HOST, body=ChangeRole, answer=Participant)
async def change_role(call: Call, meeting: str, participant: str, body: ChangeRole) -> Participant:
    """Change a role. Presenters share their screens even if participants may not.

    Co-hosts change the roles of those who are not hosts.

    If somebody becomes the host, the previous host becomes a co-host.
    """
    owner = call.standing.admin or call.standing.role == "host"

    def edit(state: DesiredState, row: MeetingRow, person: ParticipantRow) -> DesiredState:
        if not owner and {person.role, body.role} & HOSTS:
            raise forbidden("Only the host can appoint and dismiss co-hosts.")
        return grants.with_role(state, person.id, person.role, body.role, grants.settings_of(row))

    async with call.services.pool.acquire() as connection:
        async with connection.transaction():
            state = await _edit(connection, meeting, participant, edit, allow_host=True)
            if body.role == "host":
                await _hand_over(connection, meeting, participant)
            elif participant == await _host_participant(connection, meeting):
                raise forbidden("A meeting needs a host. Make somebody else the host instead.")
            await participants.set_role(connection, participant, body.role)
            await tell(call, connection, meeting, "participant.role_changed", participant, role=body.role)
        row = await participants.by_id(connection, meeting, participant)
    call.services.nodes.push(state)
    assert row is not None
    return public_participant(row)


@endpoints.route("POST", f"{_PATH}/<participant>/mute", Access.HOST, body=MuteParticipant, answer=Done)
async def mute_participant(call: Call, meeting: str, participant: str, body: MuteParticipant) -> Done:
    """Mute sources of a participant until a host releases them."""

    def edit(state: DesiredState, row: MeetingRow, person: ParticipantRow) -> DesiredState:
        held = grants.current(state, person.id, person.role, grants.settings_of(row))
        return grants.with_grants(state, person.id, msgspec.structs.replace(held, muted=body.muted))

    async with call.services.pool.acquire() as connection, connection.transaction():
        state = await _edit(connection, meeting, participant, edit, allow_host=call.standing.role == "host")
        await tell(call, connection, meeting, "participant.muted", participant, muted=body.muted)
    call.services.nodes.push(state)
    return Done()


@endpoints.route("POST", f"{_PATH}/<participant>/unmute", Access.PARTICIPANT, body=UnmuteSource, answer=Done)
async def unmute_participant(call: Call, meeting: str, participant: str, body: UnmuteSource) -> Done:
    """Release a source that a host muted: one's own, if the meeting's participants may unmute themselves."""

    def edit(state: DesiredState, row: MeetingRow, person: ParticipantRow) -> DesiredState:
        held = grants.current(state, person.id, person.role, grants.settings_of(row))
        if not call.standing.is_host and not held.unmute:
            raise forbidden("Only a host can unmute you in this meeting.")
        muted = tuple(source for source in held.muted if source is not body.source)
        return grants.with_grants(state, person.id, msgspec.structs.replace(held, muted=muted))

    _check_own(call, participant)
    async with call.services.pool.acquire() as connection, connection.transaction():
        state = await _edit(connection, meeting, participant, edit, allow_host=True)
        muted = state.participants[participant].muted
        await tell(call, connection, meeting, "participant.muted", participant, muted=muted)
    call.services.nodes.push(state)
    return Done()


@endpoints.route("PUT", f"{_PATH}/<participant>/name", Access.PARTICIPANT, body=RenameParticipant, answer=Participant)
async def rename_participant(call: Call, meeting: str, participant: str, body: RenameParticipant) -> Participant:
    """Change a name in the meeting: one's own, if the meeting permits it; hosts change anybody's. Everyone is told."""
    _check_own(call, participant)
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not call.standing.is_host and not grants.settings_of(call.standing.meeting).may_rename:
            raise forbidden("Only a host can change names in this meeting.")
        meeting, participant = await _in_main_room(call, connection, meeting, participant)
        rows = await participants.set_name(connection, participant, body.name)
        row = next((one for one in rows if one.meeting_id == meeting), None)
        if row is None:
            raise not_found("There is no such participant in this meeting.")
        await tell(call, connection, meeting, "participant.renamed", participant, name=body.name)
    for one in rows:
        await call.services.nodes.act(one.meeting_id, DescribeParticipant(participant=one.id, name=body.name))
    return public_participant(row)


@endpoints.route("POST", "/api/v1/meetings/<meeting>/mute-all", Access.HOST, body=MuteAll, answer=Done)
async def mute_all(call: Call, meeting: str, body: MuteAll) -> Done:
    """Mute sources of everyone in the room except hosts."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await meetings.lock(connection, meeting)
        if row is None:
            raise not_found("This meeting does not exist.")
        people = [person for person in await participants.present_ones(connection, meeting) if person.role not in HOSTS]

        def edit(state: DesiredState) -> DesiredState:
            for person in people:
                held = grants.current(state, person.id, person.role, grants.settings_of(row))
                state = grants.with_grants(state, person.id, msgspec.structs.replace(held, muted=body.muted))
            return state

        changed = await rooms.edit_state(connection, meeting, edit)
        await tell(call, connection, meeting, "participant.all_muted", "", muted=body.muted)
    call.services.nodes.push(changed)
    return Done()


@endpoints.route("POST", f"{_PATH}/<participant>/remove", Access.HOST, body=RemoveParticipant, answer=Done)
async def remove_participant(call: Call, meeting: str, participant: str, body: RemoveParticipant) -> Done:
    """Remove a participant from all rooms. Its account or browser cannot join again until a host readmits it.

    Meanwhile, new guests from the same address wait for a host's approval. With `ban`, nodes also refuse the account.
    """

    def edit(state: DesiredState, row: MeetingRow, person: ParticipantRow) -> DesiredState:
        return grants.with_removed(state, person.id, person.user_id if body.ban else None)

    async with call.services.pool.acquire() as connection, connection.transaction():
        meeting, participant = await _in_main_room(call, connection, meeting, participant)
        await lock_all(connection, meeting)
        state = await _edit(connection, meeting, participant, edit, allow_host=False)
        person = await participants.by_id(connection, meeting, participant)
        banned = person.user_id if person is not None and body.ban else None
        states = await breakouts.keep_out(connection, meeting, participant, banned)
        await participants.mark_removed(connection, participant)
        await tell(call, connection, meeting, "participant.removed", participant, ban=body.ban)
    call.services.nodes.push(state, *states)
    return Done()


@endpoints.route("POST", f"{_PATH}/<participant>/readmit", Access.HOST, answer=Done)
async def readmit_participant(call: Call, meeting: str, participant: str) -> Done:
    """Readmit a removed participant: its account, its browser, and others at its address."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        meeting, participant = await _in_main_room(call, connection, meeting, participant)
        await lock_all(connection, meeting)
        person = await participants.by_id(connection, meeting, participant)
        if person is None:
            raise not_found("There is no such participant in this meeting.")
        edit = functools.partial(grants.readmitted, participant=participant, user=person.user_id)
        changed = [await rooms.edit_state(connection, meeting, edit)]
        changed += await breakouts.let_back(connection, meeting, participant, person.user_id)
        await participants.readmit(connection, participant)
        await tell(call, connection, meeting, "participant.readmitted", participant)
    call.services.nodes.push(*changed)
    return Done()


def _check_own(call: Call, participant: str) -> None:
    """Raise Problem 403 unless the caller is a host or this participant."""
    own = call.standing.participant
    if not call.standing.is_host and (own is None or participant not in {own.id, own.main_id}):
        raise forbidden("Only hosts may do this to others.")


async def _in_main_room(call: Call, connection: Connection, meeting: str, participant: str) -> tuple[str, str]:
    """Return the main meeting and participant for a breakout room's; return others unchanged."""
    main = call.standing.meeting.breakout_of
    person = await participants.by_id(connection, meeting, participant)
    if main is None or person is None or person.main_id is None:
        return meeting, participant
    return main, person.main_id


async def _edit(
    connection: Connection, meeting: str, participant: str, edit: Edit, *, allow_host: bool
) -> DesiredState:
    """Apply an edit to one participant under the meeting's lock; raises Problem 403 or 404."""
    row = await meetings.lock(connection, meeting)
    person = await participants.by_id(connection, meeting, participant)
    if row is None or person is None:
        raise not_found("There is no such participant in this meeting.")
    if not allow_host and person.user_id == row.host_id:
        raise forbidden("This cannot be done to the host.")
    state = await rooms.edit_state(connection, meeting, lambda before: edit(before, row, person))
    assert state is not None
    return state


async def _host_participant(connection: Connection, meeting: str) -> str | None:
    row = await meetings.by_id(connection, meeting)
    assert row is not None
    person = await participants.by_user(connection, meeting, row.host_id)
    return None if person is None else person.id


async def _hand_over(connection: Connection, meeting: str, participant: str) -> None:
    person = await participants.by_id(connection, meeting, participant)
    assert person is not None
    if person.user_id is None:
        raise Problem(409, "guest", "A guest cannot be the host.")
    former = await _host_participant(connection, meeting)
    if former is not None and former != participant:
        await participants.set_role(connection, former, "co-host")
    await meetings.set_host(connection, meeting, person.user_id)
