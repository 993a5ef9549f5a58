"""The lobby: newcomers wait until a host lets them in."""

import hmac
import secrets
from datetime import UTC, datetime

from control.api.meetings import summary
from control.api.paging import cut
from control.api.participant_types import JoinMeeting, Lobby, LobbyEntry, LobbyQuery, Waiting
from control.api.types import Done
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identifiers import new_id
from control.identity.tokens import digest
from control.problem import Problem, not_found
from control.store import audit, lobby, notifications, outbox
from control.store.lobby import LobbyRow, State
from control.store.meetings import MeetingRow

endpoints = Endpoints("participants", scope="meetings")
_CALLED_SECONDS = 600


@endpoints.route("GET", "/api/v1/meetings/<meeting>/lobby", Access.HOST, query=LobbyQuery, answer=Lobby)
async def list_lobby(call: Call, meeting: str, query: LobbyQuery) -> Lobby:
    """List the people waiting to be admitted."""
    async with call.services.pool.acquire() as connection:
        rows = await lobby.waiting(connection, meeting)
    entries = [LobbyEntry(id=row.id, user=row.user_id, name=row.name, since=row.created_at) for row in rows]
    page, following = cut(LobbyEntry, entries, query)
    return Lobby(waiting=page, next=following)


@endpoints.route("POST", "/api/v1/meetings/<meeting>/lobby/<entry>/admit", Access.HOST, answer=Done)
async def admit_from_lobby(call: Call, meeting: str, entry: str) -> Done:
    """Admit somebody; their next attempt to join succeeds."""
    return await _decide(call, meeting, entry, "admitted")


@endpoints.route("POST", "/api/v1/meetings/<meeting>/lobby/<entry>/deny", Access.HOST, answer=Done)
async def deny_from_lobby(call: Call, meeting: str, entry: str) -> Done:
    """Deny somebody."""
    return await _decide(call, meeting, entry, "denied")


async def ask_again(call: Call, ticket: str, *, waits: bool) -> Waiting | None:
    """Return None if the caller was admitted, else the response to wait; raises Problem 403 if it was denied.

    If newcomers no longer have to wait (`waits`), the caller is admitted too.
    """
    async with call.services.pool.acquire() as connection:
        row = await lobby.see(connection, call.standing.meeting.id, _entry(ticket))
    if row is None or not hmac.compare_digest(row.ticket_hash, digest(ticket)):
        raise _unknown_ticket()
    call.identify(row.id)
    if row.state == "denied":
        raise Problem(403, "denied", "A host denied your request to join.")
    if row.state == "waiting" and waits:
        return Waiting(meeting=summary(call.services.config, call.standing), lobby_ticket=ticket)
    return None


async def use(connection: Connection, meeting: str, ticket: str) -> None:
    """Use up a ticket; raises Problem 403 if it was just used by somebody else."""
    if not await lobby.remove(connection, meeting, _entry(ticket)):
        raise _unknown_ticket()


async def enter(call: Call, body: JoinMeeting) -> Waiting:
    """Add somebody to the lobby and return the ticket to repeat the request with."""
    meeting = call.standing.meeting.id
    user = call.principal.user if call.principal is not None else None
    entry = new_id("lobby")
    ticket = f"{entry}.{secrets.token_urlsafe(24)}"
    row = LobbyRow(
        id=entry,
        meeting_id=meeting,
        user_id=None if user is None else user.user,
        name=body.name or (user.display_name if user is not None else "Guest"),
        ticket_hash=digest(ticket),
        state="waiting",
        created_at=datetime.now(UTC),
    )
    async with call.services.pool.acquire() as connection, connection.transaction():
        if len(await lobby.waiting(connection, meeting)) >= call.services.config.limits.waiting:
            raise Problem(503, "lobby_full", "Too many people are waiting already.", {"Retry-After": "30"})
        await lobby.add(connection, row)
        payload = {"meeting": meeting, "entry": entry, "name": row.name}
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "lobby.entered", payload)
        await _call_host(connection, call.standing.meeting)
    return Waiting(meeting=summary(call.services.config, call.standing), lobby_ticket=ticket)


async def _call_host(connection: Connection, meeting: MeetingRow) -> None:
    """Mail the host that somebody waits, unless a host is there or had such a mail a moment ago."""
    host = meeting.host_id
    if not await notifications.queued_since(connection, host, "lobby", meeting.id, _CALLED_SECONDS) and not (
        await notifications.host_is_there(connection, meeting.id)
    ):
        await notifications.queue(connection, host, "lobby", meeting=meeting.id)


def _entry(ticket: str) -> str:
    return ticket.partition(".")[0]


def _unknown_ticket() -> Problem:
    return Problem(403, "lobby_ticket", "The ticket is invalid or has expired.")


async def _decide(call: Call, meeting: str, entry: str, state: State) -> Done:
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await lobby.decide(connection, meeting, entry, state):
            raise not_found("Nobody with this ID is waiting.")
        await audit.write(connection, call.actor, f"lobby_{state}", entry, call.address, meeting=meeting)
    return Done()
