"""The shared document of a meeting: updates in order of arrival."""

from dataclasses import dataclass

from control.database import Connection
from control.store.recordings import HELD_MEETINGS


@dataclass(frozen=True, slots=True)
class UpdateRow:
    id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Size:
    updates: int
    bytes: int


async def updates(connection: Connection, meeting: str, after: int) -> list[UpdateRow]:
    """Return the updates after update `after`."""
    return await connection.all(
        UpdateRow,
        "SELECT id, data FROM document_updates WHERE meeting_id = $1 AND id > $2 ORDER BY id",
        meeting,
        after,
    )


async def size(connection: Connection, meeting: str) -> Size:
    found = await connection.one(
        Size,
        "SELECT count(*) AS updates, coalesce(sum(length(data)), 0)::bigint AS bytes"
        " FROM document_updates WHERE meeting_id = $1",
        meeting,
    )
    assert found is not None
    return found


async def add(connection: Connection, meeting: str, data: bytes) -> int:
    """Add an update; return its number."""
    return await connection.value(
        int, "INSERT INTO document_updates (meeting_id, data) VALUES ($1, $2) RETURNING id", meeting, data
    )


async def remove(connection: Connection, meeting: str, first: int, last: int) -> None:
    """Delete the updates from one number to another."""
    await connection.execute(
        "DELETE FROM document_updates WHERE meeting_id = $1 AND id BETWEEN $2 AND $3", meeting, first, last
    )


async def forget(connection: Connection, days: int) -> None:
    """Delete the documents that nobody has changed for a number of days, except those of meetings on hold."""
    await connection.execute(
        "DELETE FROM document_updates d WHERE NOT EXISTS (SELECT 1 FROM document_updates later"  # noqa: S608  constants
        " WHERE later.meeting_id = d.meeting_id AND later.written_at >= now() - make_interval(days => $1))"
        f" AND meeting_id NOT IN {HELD_MEETINGS}",
        days,
    )
