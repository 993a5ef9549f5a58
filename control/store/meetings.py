"""Meetings: their plan and status. Their live state is in `store.rooms`."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from control.database import Connection, load
from control.identifiers import meeting_id
from control.store.participants import Role
from control.store.window import Window

Status = Literal["scheduled", "active", "idle", "ended"]


class MeetingRow(msgspec.Struct, frozen=True):
    id: str
    host_id: str
    title: str
    description: str
    status: Status
    passcode_hash: str | None
    settings: dict[str, Any]
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    time_zone: str
    recurrence: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    breakout_of: str | None
    closes_at: datetime | None
    breakouts: dict[str, Any] | None


class Listed(msgspec.Struct, frozen=True):
    """A meeting in a list, with the reader's role and the running recording."""

    meeting: MeetingRow
    role: Role
    recording: str | None


# Each of the two queries for a user's meetings scans its own index, in order and no further than the page. A single
# query with OR would scan every meeting.
_SHOWN = """(NOT $2 OR m.status = 'ended' OR (m.status = 'idle' AND m.started_at IS NOT NULL)
        OR (m.status = 'scheduled' AND m.recurrence IS NULL
            AND coalesce(m.scheduled_end, m.scheduled_start) < now() - interval '1 hour'))
    AND ($3::text IS NULL OR position(lower($3) IN lower(m.title)) > 0)
    AND ($4::text IS NULL OR m.status = $4)
    AND m.breakout_of IS NULL"""
_COLUMNS = ", ".join(f"m.{name}" for name in MeetingRow.__struct_fields__)
_WIDTH = len(MeetingRow.__struct_fields__)


def of_user_query(window: Window) -> str:
    """Return the query for a page of a user's meetings."""
    column = window.column
    host, other = (f"m.{column}", "m.id"), ("p.meeting_at" if column == "created_at" else f"m.{column}", "p.meeting_id")
    order = window.order(column, "id")
    return f"""
        WITH page AS (SELECT * FROM (
            (SELECT {_COLUMNS}, 'host' AS role FROM meetings m
                WHERE m.host_id = $1 AND {window.follows(*host, 5)} AND {_SHOWN} {window.order(*host)})
            UNION ALL
            (SELECT {_COLUMNS}, p.role FROM meeting_participants p JOIN meetings m ON m.id = p.meeting_id
                WHERE p.user_id = $1 AND p.role <> 'host' AND p.removed_at IS NULL AND m.host_id <> $1
                AND {window.follows(*other, 5)} AND {_SHOWN} {window.order(*other)})
            ) either {order})
        SELECT page.*, (SELECT c.id FROM meeting_recordings c
            WHERE c.meeting_id = page.id AND c.state = 'recording' LIMIT 1) AS recording
        FROM page {order}"""  # noqa: S608  constants, and a declared column


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Plan of a meeting, decided by a host; `settings` is stored as given."""

    title: str
    description: str
    passcode_hash: str | None
    settings: Any
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    time_zone: str
    recurrence: str | None


async def create(connection: Connection, host: str, plan: Plan) -> MeetingRow:
    return await connection.insert_new(MeetingRow, "meetings", id=meeting_id(), host_id=host, **asdict(plan))


async def by_id(connection: Connection, meeting: str) -> MeetingRow | None:
    return await connection.one(MeetingRow, "SELECT * FROM meetings WHERE id = $1", meeting)


async def lock(connection: Connection, meeting: str) -> MeetingRow | None:
    """Return the row, locked until the transaction ends. To avoid deadlocks, lock it before the room's state."""
    return await connection.one(MeetingRow, "SELECT * FROM meetings WHERE id = $1 FOR NO KEY UPDATE", meeting)


async def of_user(
    connection: Connection,
    user: str,
    window: Window,
    *,
    over: bool = False,
    text: str | None = None,
    status: Status | None = None,
) -> list[Listed]:
    """Return a page of the meetings that the user hosts or took part in.

    With `over`, only those that took place or whose time has passed; with `text`, only those whose title contains it.
    """
    rows = await connection.fetch(of_user_query(window), user, over, text, status, *window.values)
    # By position, in the order of _COLUMNS, since looking up each column by name takes as long as decoding it.
    return [Listed(MeetingRow(*row[:_WIDTH]), row[_WIDTH], row[_WIDTH + 1]) for row in rows]


async def update(connection: Connection, meeting: str, plan: Plan) -> MeetingRow:
    return await connection.new(
        MeetingRow,
        "UPDATE meetings SET title = $2, description = $3, passcode_hash = $4, settings = $5, scheduled_start = $6,"
        " scheduled_end = $7, time_zone = $8, recurrence = $9, updated_at = now() WHERE id = $1 RETURNING *",
        meeting,
        plan.title,
        plan.description,
        plan.passcode_hash,
        plan.settings,
        plan.scheduled_start,
        plan.scheduled_end,
        plan.time_zone,
        plan.recurrence,
    )


async def set_settings(connection: Connection, meeting: str, settings: Any) -> None:
    await connection.execute("UPDATE meetings SET settings = $2, updated_at = now() WHERE id = $1", meeting, settings)


async def delete(connection: Connection, meeting: str) -> None:
    """Delete the meeting and all rows that refer to it, with its breakout rooms and events."""
    await connection.execute(
        "DELETE FROM outbox WHERE meeting_id = $1 OR meeting_id IN (SELECT id FROM meetings WHERE breakout_of = $1)",
        meeting,
    )
    await connection.execute("DELETE FROM meetings WHERE id = $1", meeting)


async def mark_active(connection: Connection, meeting: str, at: datetime) -> None:
    """Mark the room as live; an ended meeting stays ended."""
    await connection.execute(
        "UPDATE meetings SET status = 'active', started_at = coalesce(started_at, $2)"
        " WHERE id = $1 AND status <> 'ended'",
        meeting,
        at,
    )


async def mark_idle(connection: Connection, meeting: str) -> None:
    """Mark the room as closed; the meeting may continue later."""
    await connection.execute("UPDATE meetings SET status = 'idle' WHERE id = $1 AND status = 'active'", meeting)


async def mark_ended(connection: Connection, meeting: str) -> None:
    await connection.execute("UPDATE meetings SET status = 'ended', ended_at = now() WHERE id = $1", meeting)


async def set_host(connection: Connection, meeting: str, user: str) -> None:
    await connection.execute(
        "UPDATE meetings SET host_id = $2, updated_at = now() WHERE id = $1 OR breakout_of = $1", meeting, user
    )


async def hosted_by(connection: Connection, user: str) -> list[str]:
    return await connection.column("SELECT id FROM meetings WHERE host_id = $1 AND breakout_of IS NULL", user)


async def scheduled_of(connection: Connection, user: str) -> list[Listed]:
    """Return the user's scheduled meetings that are not over: recurring ones, and others from an hour ago on."""
    rows = await connection.fetch(
        "SELECT m.*, CASE WHEN m.host_id = $1 THEN 'host' ELSE p.role END AS role, NULL AS recording"
        " FROM meetings m LEFT JOIN meeting_participants p ON p.meeting_id = m.id AND p.user_id = $1"
        " WHERE (m.host_id = $1 OR (p.id IS NOT NULL AND p.removed_at IS NULL)) AND m.status <> 'ended'"
        " AND (m.scheduled_start > now() - interval '1 hour'"
        "   OR (m.scheduled_start IS NOT NULL AND m.recurrence IS NOT NULL))"
        " ORDER BY m.scheduled_start LIMIT 500",
        user,
    )
    return [Listed(load(MeetingRow, row), row["role"], row["recording"]) for row in rows]
