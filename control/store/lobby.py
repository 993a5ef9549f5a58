"""Lobby: people waiting to be admitted."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection

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
    await connection.insert("lobby_entries", **asdict(row))


async def see(connection: Connection, meeting: str, entry: str) -> LobbyRow | None:
    """Return an entry, and record now and then that its person is still waiting."""
    await connection.execute(
        "UPDATE lobby_entries SET seen_at = now()"
        " WHERE id = $1 AND meeting_id = $2 AND seen_at < now() - interval '10 seconds'",
        entry,
        meeting,
    )
    return await connection.one(
        LobbyRow, "SELECT * FROM lobby_entries WHERE id = $1 AND meeting_id = $2", entry, meeting
    )


async def waiting(connection: Connection, meeting: str) -> list[LobbyRow]:
    """Return the waiting people who asked within the last half minute."""
    return await connection.all(
        LobbyRow,
        "SELECT * FROM lobby_entries WHERE meeting_id = $1 AND state = 'waiting'"
        " AND seen_at > now() - interval '30 seconds' ORDER BY created_at, id",
        meeting,
    )


async def decide(connection: Connection, meeting: str, entry: str, state: State) -> bool:
    """Admit or deny somebody; return False if nobody with this id is waiting."""
    return await connection.change(
        "UPDATE lobby_entries SET state = $3 WHERE id = $1 AND meeting_id = $2 AND state <> 'admitted'",
        entry,
        meeting,
        state,
    )


async def remove(connection: Connection, meeting: str, entry: str) -> bool:
    """Delete the entry of somebody who joins; return False if it was deleted or denied meanwhile."""
    return await connection.change(
        "DELETE FROM lobby_entries WHERE id = $1 AND meeting_id = $2 AND state <> 'denied'", entry, meeting
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM lobby_entries WHERE seen_at < now() - interval '1 day'")
