"""Lobby: people waiting to be admitted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection, load, load_one

State = Literal["waiting", "admitted", "denied"]


@dataclass(frozen=True, slots=True)
class LobbyRow:
    id: str
    meeting_id: str
    user_id: str | None
    name: str
    ticket_hash: bytes
    state: State
    created_at: datetime


async def add(connection: Connection, row: LobbyRow) -> None:
    await connection.execute(
        "INSERT INTO lobby_entries (id, meeting_id, user_id, name, ticket_hash) VALUES ($1, $2, $3, $4, $5)",
        row.id,
        row.meeting_id,
        row.user_id,
        row.name,
        row.ticket_hash,
    )


async def see(connection: Connection, meeting: str, entry: str) -> LobbyRow | None:
    """Return an entry, occasionally noting that its person is still waiting."""
    await connection.execute(
        "UPDATE lobby_entries SET seen_at = now()"
        " WHERE id = $1 AND meeting_id = $2 AND seen_at < now() - interval '10 seconds'",
        entry,
        meeting,
    )
    row = await connection.fetchrow("SELECT * FROM lobby_entries WHERE id = $1 AND meeting_id = $2", entry, meeting)
    return load_one(LobbyRow, row)


async def waiting(connection: Connection, meeting: str) -> list[LobbyRow]:
    """Return the people waiting that asked within the last half minute."""
    rows = await connection.fetch(
        "SELECT * FROM lobby_entries WHERE meeting_id = $1 AND state = 'waiting'"
        " AND seen_at > now() - interval '30 seconds' ORDER BY created_at, id",
        meeting,
    )
    return [load(LobbyRow, row) for row in rows]


async def decide(connection: Connection, meeting: str, entry: str, state: State) -> bool:
    """Admit or deny somebody; return False if nobody with this id is waiting."""
    found = await connection.fetchval(
        "UPDATE lobby_entries SET state = $3 WHERE id = $1 AND meeting_id = $2 AND state <> 'admitted' RETURNING id",
        entry,
        meeting,
        state,
    )
    return found is not None


async def remove(connection: Connection, meeting: str, entry: str) -> bool:
    """Delete the entry of somebody who joins; return False if it is gone or was denied meanwhile."""
    found = await connection.fetchval(
        "DELETE FROM lobby_entries WHERE id = $1 AND meeting_id = $2 AND state <> 'denied' RETURNING id", entry, meeting
    )
    return found is not None


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM lobby_entries WHERE seen_at < now() - interval '1 day'")
