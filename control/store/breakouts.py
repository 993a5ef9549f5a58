"""Breakout rooms: their meetings' rows, and the assignments of participants."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection
from control.identifiers import meeting_id
from control.store.meetings import MeetingRow
from control.store.participants import ParticipantRow


@dataclass(frozen=True, slots=True)
class BreakoutRow:
    """A breakout room, which closes at `closes_at`. `present` is the number of participants in it."""

    id: str
    title: str
    closes_at: datetime | None
    present: int


@dataclass(frozen=True, slots=True)
class InsideRow:
    """A participant of a breakout room, and its row in the main room."""

    id: str
    meeting_id: str
    main_id: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A participant of the main room, its assigned breakout room, and the room that it is in; null for neither."""

    id: str
    name: str
    room: str | None
    place: str | None


async def create(connection: Connection, main: MeetingRow, title: str) -> str:
    """Insert a breakout room with the main room's host and settings; return its id."""
    identifier = meeting_id()
    await connection.execute(
        "INSERT INTO meetings (id, host_id, title, settings, breakout_of, created_at)"
        " VALUES ($1, $2, $3, $4, $5, clock_timestamp())",  # now() is constant within a transaction
        identifier,
        main.host_id,
        title,
        main.settings,
        main.id,
    )
    return identifier


async def of_meeting(connection: Connection, main: str) -> list[BreakoutRow]:
    """Return the breakout rooms of a meeting, including closed ones, in order of creation."""
    return await connection.all(
        BreakoutRow,
        "SELECT m.id, m.title, m.closes_at, (SELECT count(*) FROM meeting_participants p"
        "   WHERE p.meeting_id = m.id AND p.present) AS present"
        " FROM meetings m WHERE m.breakout_of = $1 ORDER BY m.created_at, m.id",
        main,
    )


async def lock(connection: Connection, main: str) -> None:
    """Lock a meeting and its breakout rooms, in the global lock order of meetings."""
    await connection.fetch(
        "SELECT id FROM meetings WHERE id = $1 OR breakout_of = $1 ORDER BY id FOR NO KEY UPDATE", main
    )


async def set_plan(connection: Connection, main: str, plan: Any) -> None:
    await connection.execute("UPDATE meetings SET breakouts = $2 WHERE id = $1", main, plan)


async def close(connection: Connection, breakouts: Iterable[str], at: datetime) -> None:
    await connection.execute("UPDATE meetings SET closes_at = $2 WHERE id = ANY($1::text[])", list(breakouts), at)


async def due(connection: Connection, by: int) -> list[str]:
    """Return the meetings whose breakout rooms close by themselves before a time (Unix ms)."""
    return await connection.column(
        "SELECT id FROM meetings WHERE breakouts->>'ends_at' IS NOT NULL AND (breakouts->>'ends_at')::bigint < $1", by
    )


async def closed(connection: Connection) -> list[str]:
    """Return the breakout rooms that have not ended although their countdown is over."""
    return await connection.column(
        "SELECT id FROM meetings WHERE breakout_of IS NOT NULL AND status <> 'ended' AND closes_at < now()"
    )


async def assign(connection: Connection, participant: str, breakout: str | None) -> None:
    """Assign a participant of the main room to a breakout room, or to none."""
    if breakout is None:
        await connection.execute("DELETE FROM breakout_assignments WHERE participant_id = $1", participant)
        return
    await connection.insert(
        "breakout_assignments",
        then="ON CONFLICT (participant_id) DO UPDATE SET breakout_id = excluded.breakout_id",
        participant_id=participant,
        breakout_id=breakout,
    )


async def unassign_all(connection: Connection, main: str) -> None:
    await connection.execute(
        "DELETE FROM breakout_assignments WHERE breakout_id IN (SELECT id FROM meetings WHERE breakout_of = $1)", main
    )


async def assignments(connection: Connection, main: str) -> dict[str, str]:
    """Return the breakout room of each assigned participant of the main room."""
    rows = await connection.fetch(
        "SELECT a.participant_id, a.breakout_id FROM breakout_assignments a"
        " JOIN meetings m ON m.id = a.breakout_id WHERE m.breakout_of = $1 ORDER BY a.participant_id",
        main,
    )
    return {row["participant_id"]: row["breakout_id"] for row in rows}


async def people(connection: Connection, main: str, limit: int = 1_000) -> list[PersonRow]:
    """Return the participants of the main room who are in any of the rooms, or assigned to one."""
    return await connection.all(
        PersonRow,
        "WITH rooms AS (SELECT id FROM meetings WHERE breakout_of = $1 AND closes_at IS NULL)"
        " SELECT p.id, p.name, a.breakout_id AS room, coalesce(i.meeting_id, CASE WHEN p.present THEN p.meeting_id END)"
        "   AS place FROM meeting_participants p"
        " LEFT JOIN breakout_assignments a ON a.participant_id = p.id AND a.breakout_id IN (SELECT id FROM rooms)"
        # Whoever is being moved can be in two rooms for a moment.
        " LEFT JOIN LATERAL (SELECT meeting_id FROM meeting_participants WHERE main_id = p.id AND present"
        "   AND meeting_id IN (SELECT id FROM rooms) ORDER BY meeting_id = a.breakout_id DESC LIMIT 1) i ON true"
        " WHERE p.meeting_id = $1 AND p.removed_at IS NULL"
        "   AND (p.present OR a.breakout_id IS NOT NULL OR i.meeting_id IS NOT NULL)"
        " ORDER BY lower(p.name), p.id LIMIT $2",
        main,
        limit,
    )


async def inside(connection: Connection, main: str) -> list[InsideRow]:
    """Return the participants who have been in any of a meeting's breakout rooms."""
    return await connection.all(
        InsideRow,
        "SELECT p.id, p.meeting_id, p.main_id FROM meeting_participants p JOIN meetings m ON m.id = p.meeting_id"
        " WHERE m.breakout_of = $1 AND p.main_id IS NOT NULL",
        main,
    )


async def enter(connection: Connection, breakout: str, main: ParticipantRow, participant: str) -> ParticipantRow:
    """Return the participant's row in a breakout room, with its name and role in the main room."""
    return await connection.new(
        ParticipantRow,
        "INSERT INTO meeting_participants (id, meeting_id, user_id, name, role, rejoin_hash, main_id)"
        " VALUES ($1, $2, $3, $4, $5, '', $6) ON CONFLICT (meeting_id, main_id) WHERE main_id IS NOT NULL"
        " DO UPDATE SET name = excluded.name, role = excluded.role RETURNING *",
        participant,
        breakout,
        main.user_id,
        main.name,
        main.role,
        main.id,
    )
