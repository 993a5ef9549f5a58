"""Visits: each stay of a participant in a room, and the live rooms."""

from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.store.window import Window, rows


@dataclass(frozen=True, slots=True)
class VisitRow:
    id: int
    meeting_id: str
    participant_id: str
    node: str
    joined_at: datetime
    left_at: datetime | None
    leave_reason: str | None


@dataclass(frozen=True, slots=True)
class LiveRoomRow:
    meeting_id: str
    title: str
    node: str
    opened_at: datetime
    participants: int
    tracks: int
    recording: bool


@dataclass(frozen=True, slots=True)
class TrackRow:
    track: str
    participant_id: str
    source: str
    codec: str
    published_at: datetime


_NAMED = "SELECT s.*, p.name FROM signaling_sessions s JOIN meeting_participants p ON p.id = s.participant_id"
_SEARCHED = ("name", "participant_id", "node")


async def of_meeting(connection: Connection, meeting: str, window: Window, search: str = "") -> list[VisitRow]:
    """Return visits to a meeting's room, by participants or to nodes in whose names `search` occurs."""
    query = f"{_NAMED} WHERE s.meeting_id = $1"
    return await rows(connection, VisitRow, query, window, meeting, search=search, searched=_SEARCHED)


async def by_id(connection: Connection, visit: int) -> VisitRow | None:
    return await connection.one(VisitRow, "SELECT * FROM signaling_sessions WHERE id = $1", visit)


async def open_ones(connection: Connection, window: Window, search: str = "") -> list[VisitRow]:
    """Return the open visits, by participants, to nodes or to meetings in whose names `search` occurs."""
    query = f"{_NAMED} WHERE s.left_at IS NULL"
    return await rows(connection, VisitRow, query, window, search=search, searched=(*_SEARCHED, "meeting_id"))


async def close_orphans(connection: Connection) -> int:
    """Close the visits of rooms that are not live; return their number."""
    closed = await connection.fetch(
        "UPDATE signaling_sessions s SET left_at = now(), leave_reason = 'cleanup' WHERE left_at IS NULL"
        " AND NOT EXISTS (SELECT FROM meeting_rooms r WHERE r.meeting_id = s.meeting_id AND r.closed_at IS NULL)"
        " RETURNING s.id"
    )
    await connection.execute(
        "UPDATE meeting_participants p SET present = false, left_at = now() WHERE present"
        " AND NOT EXISTS (SELECT FROM meeting_rooms r WHERE r.meeting_id = p.meeting_id AND r.closed_at IS NULL)"
    )
    return len(closed)


async def present_by_node(connection: Connection, meeting: str) -> dict[str, int]:
    """Return the number of participants in a meeting's room on each node."""
    found = await connection.fetch(
        "SELECT node, count(*) AS people FROM signaling_sessions WHERE meeting_id = $1 AND left_at IS NULL"
        " GROUP BY node",
        meeting,
    )
    return {row["node"]: row["people"] for row in found}


async def node_of(connection: Connection, meeting: str, participant: str) -> str | None:
    """Return the node of a participant in the room, or None if it is not there."""
    found = await connection.fetchval(
        "SELECT node FROM signaling_sessions WHERE meeting_id = $1 AND participant_id = $2 AND left_at IS NULL"
        " ORDER BY id DESC LIMIT 1",
        meeting,
        participant,
    )
    return None if found is None else str(found)


async def live_rooms(connection: Connection, window: Window, search: str = "") -> list[LiveRoomRow]:
    """Return the live rooms in whose title, id or node `search` occurs."""
    return await rows(
        connection,
        LiveRoomRow,
        "SELECT * FROM active_meeting_statistics",
        window,
        key="meeting_id",
        search=search,
        searched=("title", "meeting_id", "node"),
    )


async def tracks(connection: Connection, meeting: str) -> list[TrackRow]:
    return await connection.all(
        TrackRow,
        "SELECT * FROM media_streams WHERE meeting_id = $1 AND unpublished_at IS NULL ORDER BY published_at, track",
        meeting,
    )
