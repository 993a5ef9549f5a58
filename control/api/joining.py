"""Joining and leaving a meeting."""

import asyncio
import dataclasses
import hmac
import time
from datetime import UTC, datetime
from typing import NamedTuple

from quart import Response

from control.api import lobby, newcomers, recognition
from control.api.meeting_types import WebTransport
from control.api.meetings import summary
from control.api.participant_types import Joined, JoinMeeting, Waiting
from control.api.types import Done
from control.auth.access import Access, Standing
from control.database import Connection
from control.endpoint import Call, Endpoints, answer, with_standing
from control.identifiers import new_id
from control.identity.tokens import digest, new_rejoin_secret, rejoin_participant
from control.meetings import grants, seats
from control.meetings.ending import ended
from control.nodes import turn, webtransport
from control.placement import cascade, placing
from control.problem import Problem
from control.store import breakouts, meetings, participants, rooms, users
from control.store.participants import HOSTS, ParticipantRow, Role
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement

endpoints = Endpoints("meetings", scope="meetings")
_READMITTED_SECONDS = 3.0  # nodes must learn of the readmission first


class Admission(NamedTuple):
    """Content of a join token: the placement's epoch, whether the participant had left, and a secondary node.

    `home` is the node of the placement.
    """

    epoch: int
    returning: bool
    home: str
    node: str = ""


class RoomAssignment(NamedTuple):
    """The room that a participant is sent to: its desired state, placement and node, and whether it was readmitted."""

    state: DesiredState
    placement: Placement
    node: str
    readmitted: bool


@endpoints.route(
    "POST",
    "/api/v1/meetings/<meeting>/join",
    Access.MEETING,
    body=JoinMeeting,
    answer=Joined,
    others={202: Waiting},
)
async def join_meeting(call: Call, meeting: str, body: JoinMeeting) -> Response:
    """Admit the caller: as its account, as a guest with a name, or with a rejoin secret as the same participant.

    With an admission token, the caller's account does not count, and there is neither passcode nor lobby.
    If the meeting has a lobby, newcomers get 202 and a ticket, and repeat the request with it until a host admits them.
    Participants assigned to a breakout room join that room.
    """
    if call.standing.meeting.breakout_of is not None:
        raise Problem(409, "breakout", "This is a breakout room. Join its main meeting instead.")
    if call.standing.meeting.status == "ended":
        raise ended()
    if body.admission_token is not None and body.rejoin_secret is None:
        call, body = await _as_bearer(call, body.admission_token), JoinMeeting()
    known = await _returning(call, body) or call.standing.participant
    if call.standing.removed or (known is not None and known.removed_at is not None):
        raise Problem(403, "removed", "A host removed you from this meeting.")
    who = recognition.visitor(call)
    newcomer = known is None and call.standing.role != "host"
    if newcomer and (waiting := await newcomers.check(call, body, who.marks)) is not None:
        return recognition.remember(call, who, answer(waiting, 202))
    await placing.check(call.services, meeting)
    async with call.services.pool.acquire() as connection, connection.transaction():
        # Facts lock the meeting first too: otherwise a join and the fact of an earlier one could deadlock.
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise ended()
        await _check_room(call, connection, state, known)
        if newcomer and body.lobby_ticket is not None:
            await lobby.use(connection, meeting, body.lobby_ticket)
        person, secret = await _admit(call, connection, body, known)
        await participants.mark(connection, person.id, who.marks.browser, who.marks.network)
        await seats.hold(connection, person.id)
        there = state.elsewhere.get(person.id)
        to = await _assign(call, connection, state, person) if there is None else None
    if there is not None:
        call, person, to = await _assign_breakout(call, there.meeting, person)
    assert to is not None
    if to.readmitted:
        await asyncio.wait(call.services.nodes.push(to.state), timeout=_READMITTED_SECONDS)
    known_there = await cascade.tell(call.services, to.state.room, to.node, to.placement)
    secondary = to.node if known_there and to.node != to.placement.node else ""
    admission = Admission(to.placement.epoch, known is not None, to.placement.node, secondary)
    return recognition.remember(call, who, answer(_joined(call, to.state, person, secret, admission)))


@endpoints.route("POST", "/api/v1/meetings/<meeting>/leave", Access.PARTICIPANT, answer=Done)
async def leave_meeting(call: Call, meeting: str) -> Done:
    """Remove the caller from the room and close its peers. Joining again is possible."""
    person = call.standing.participant
    if person is None or not person.present:
        return Done()
    async with call.services.pool.acquire() as connection, connection.transaction():
        state = await rooms.edit_state(connection, meeting, lambda before: grants.with_removed(before, person.id, None))
    call.services.nodes.push(state)
    return Done()


async def _assign(call: Call, connection: Connection, state: DesiredState, person: ParticipantRow) -> RoomAssignment:
    """Place the room and readmit a participant that left it. Needs a transaction that has locked the meeting."""
    home = await placing.place(call.services, connection, state.room, call.region)
    node, placement = await cascade.node_for_joiner(call.services, connection, person, home, call.region)
    if person.id not in state.removed:
        return RoomAssignment(state, placement, node, False)
    edited = await rooms.edit_state(connection, state.room, lambda before: grants.without_removed(before, person.id))
    return RoomAssignment(edited or state, placement, node, True)


async def _assign_breakout(
    call: Call, breakout: str, main: ParticipantRow
) -> tuple[Call, ParticipantRow, RoomAssignment]:
    """Assign a participant of the main room to its breakout room; raises Problem 503 if that has closed.

    It uses its own transaction: here, meetings are locked one after the other; elsewhere, all are locked in one order.
    """
    await placing.check(call.services, breakout)
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await meetings.lock(connection, breakout)
        state = await rooms.state(connection, breakout)
        if row is None or state is None or state.ended or (row.closes_at and row.closes_at <= datetime.now(UTC)):
            raise Problem(503, "breakout_closed", "The breakout room has closed; try again.", {"Retry-After": "1"})
        person = await breakouts.enter(connection, breakout, main, new_id("participant"))
        to = await _assign(call, connection, state, person)
    standing = Standing(row, person, person.role, call.standing.admin, removed=False)
    return with_standing(call, standing), person, to


async def _returning(call: Call, body: JoinMeeting) -> ParticipantRow | None:
    """Return the participant to whom a rejoin secret belongs; raises Problem 403 if it is invalid."""
    if body.rejoin_secret is None:
        return None
    meeting = call.standing.meeting.id
    async with call.services.pool.acquire() as connection:
        person = await participants.by_id(connection, meeting, rejoin_participant(body.rejoin_secret))
    if person is None or not hmac.compare_digest(person.rejoin_hash, digest(body.rejoin_secret)):
        raise Problem(403, "rejoin_secret", "The rejoin secret is invalid.")
    call.identify(person.id)
    user = call.principal.user.user if call.principal is not None and call.principal.user is not None else None
    if user is not None and person.user_id not in {None, user}:
        raise Problem(403, "rejoin_secret", "The rejoin secret belongs to another account.")
    if person.user_id is not None and user is None:
        await _check_account(call, person.user_id)
    return person


async def _as_bearer(call: Call, token: str) -> Call:
    """Return the call as one of the participant that an admission token names; raises Problem 403 if it is invalid."""
    named = call.services.tokens.read_admission(token)
    meeting = call.standing.meeting
    person = None
    if named is not None and named.meeting == meeting.id:
        async with call.services.pool.acquire() as connection:
            person = await participants.by_id(connection, meeting.id, named.participant)
    if person is None:
        detail = "The admission token is invalid, has expired, or is for another meeting."
        raise Problem(403, "admission_token", detail)
    call.identify(person.id)
    standing = Standing(meeting, person, person.role, admin=False, removed=person.removed_at is not None)
    return dataclasses.replace(call, principal=None, about=standing)


async def _check_account(call: Call, user: str) -> None:
    """Refuse a banned account that returns without signing in."""
    async with call.services.pool.acquire() as connection:
        account = await users.by_id(connection, user)
    if account is None or account.state == "banned":
        raise Problem(403, "banned", "This account is banned.")


async def _check_room(call: Call, connection: Connection, state: DesiredState, known: ParticipantRow | None) -> None:
    """Raise Problem if the room does not admit the caller now. Hosts are refused only if the room is full.

    Needs the meeting's lock.
    """
    host = call.standing.role == "host"
    user = call.principal.user.user if call.principal is not None and call.principal.user is not None else None
    if not host and user is not None and user in state.banned_users:
        raise Problem(403, "banned", "A host banned this account from the meeting.")
    if not host and state.locked and known is None:
        raise Problem(403, "locked", "The meeting is locked.")
    person = known.id if known is not None else None
    if await seats.is_full(call.services, connection, call.standing.meeting, person, host=host):
        raise Problem(403, "full", "The meeting is full.")


async def _admit(
    call: Call, connection: Connection, body: JoinMeeting, known: ParticipantRow | None
) -> tuple[ParticipantRow, str]:
    """Write the participant's row and return it with its new rejoin secret."""
    user = call.principal.user if call.principal is not None else None
    if known is not None:
        secret = new_rejoin_secret(known.id)
        settled = call.standing.role not in HOSTS and not grants.settings_of(call.standing.meeting).may_rename
        name = known.name if settled else body.name or known.name
        await participants.rename(connection, known.id, name, digest(secret))
        role: Role = "host" if call.standing.role == "host" else known.role
        if role != known.role:
            await participants.set_role(connection, known.id, role)
        return dataclasses.replace(known, name=name, role=role), secret
    participant = new_id("participant")
    secret = new_rejoin_secret(participant)
    person = await participants.add(
        connection,
        call.standing.meeting.id,
        None if user is None else user.user,
        body.name or (user.display_name if user is not None else "Guest"),
        grants.role_of_newcomer(call.standing.meeting, host=call.standing.role == "host"),
        participant=participant,
        rejoin=digest(secret),
    )
    return person, secret


def _joined(call: Call, state: DesiredState, person: ParticipantRow, secret: str, admission: Admission) -> Joined:
    services = call.services
    settings = grants.settings_of(call.standing.meeting)
    granted = grants.current(state, person.id, person.role, settings)
    about = summary(call.services.config, call.standing)
    ice_servers = turn.ice_servers(services.config.turn, person.id, int(time.time()))
    endpoint = webtransport.endpoint(services.registry.known(), admission.node or admission.home)
    guest = person.user_id is None
    return Joined(
        meeting=about,
        participant=person.id,
        name=person.name,
        role=person.role,
        token=services.tokens.join(
            about.id,
            person.id,
            person.name,
            person.user_id,
            granted,
            epoch=admission.epoch,
            returning=admission.returning,
            node=admission.node,
            ice=turn.links(ice_servers),
            identity=person.identity or "",
            metadata=person.metadata,
        ),
        signaling_url=f"/ws/signaling?meeting={about.id}" + (f"&node={admission.node}" if admission.node else ""),
        webtransport=WebTransport.of(endpoint),
        whip_url="/whip",
        whep_url="/whep",
        ice_servers=ice_servers,
        rejoin_secret=secret,
        participant_token=services.tokens.participant(person.main_id or person.id, about.breakout_of or about.id)
        if guest
        else None,
        start_muted=settings.mute_on_entry and person.role != "host",
    )
