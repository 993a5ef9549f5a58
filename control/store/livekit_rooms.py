"""Meetings by the room names in LiveKit's access tokens, and participants by identity."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection


async def meeting_of(connection: Connection, name: str) -> str | None:
    """Return the meeting with a room name, which may be the meeting's id, unless it has ended."""
    if "\x00" in name:  # PostgreSQL's text cannot contain NUL
        return None
    found = await connection.fetchval(
        "SELECT m.id FROM livekit_rooms r JOIN meetings m ON m.id = r.meeting_id"
        " WHERE r.name = $1 AND m.status <> 'ended'",
        name,
    )
    if found is None:
        found = await connection.fetchval(
            "SELECT id FROM meetings WHERE id = $1 AND status <> 'ended' AND breakout_of IS NULL", name
        )
    return None if found is None else str(found)


async def breakout_of(connection: Connection, meeting: str, identity: str) -> str | None:
    """Return the breakout room to which hosts moved the participant with an identity."""
    found = await connection.fetchval(
        "SELECT s.document->'elsewhere'->p.id->>'meeting' FROM meeting_participants p"
        " JOIN room_state s ON s.meeting_id = p.meeting_id WHERE p.meeting_id = $1 AND p.identity = $2",
        meeting,
        identity,
    )
    return None if found is None else str(found)


async def lock_name(connection: Connection, name: str) -> None:
    """Prevent others from creating a room with this name until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 28))", name)


async def bind(connection: Connection, name: str, meeting: str) -> None:
    """Assign a room name to a meeting, with the ingresses of that room."""
    await connection.execute(
        "INSERT INTO livekit_rooms (name, meeting_id) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET meeting_id = excluded.meeting_id",
        name,
        meeting,
    )
    await connection.execute(
        "UPDATE stream_keys k SET meeting_id = $2 FROM livekit_ingresses i WHERE i.room = $1 AND i.id = k.id",
        name,
        meeting,
    )
    await connection.execute(
        "UPDATE meeting_participants p SET stream_key_id = NULL FROM livekit_ingresses i"
        " WHERE i.room = $1 AND i.id = p.stream_key_id AND p.meeting_id <> $2",
        name,
        meeting,
    )


async def keep(connection: Connection, name: str, empty: int, departure: int, people: int) -> None:
    """Store an application's settings of a room that it created. It is listed for `empty` seconds if nobody joins."""
    await connection.execute(
        "UPDATE livekit_rooms SET empty_timeout = $2::integer, departure_timeout = $3, max_participants = $4,"
        " kept_until = now() + make_interval(secs => $2::integer) WHERE name = $1",
        name,
        empty,
        departure,
        people,
    )


@dataclass(frozen=True, slots=True)
class ListedRoom:
    """A room as the server API lists it. A meeting without a room name has its id as its name."""

    meeting_id: str
    name: str
    created_at: datetime
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    metadata: str
    participants: int
    publishers: int
    recording: bool


_LISTED = """SELECT m.id AS meeting_id, coalesce(r.name, m.id) AS name,
    coalesce(o.opened_at, m.created_at) AS created_at, coalesce(r.empty_timeout, 300) AS empty_timeout,
    coalesce(r.departure_timeout, 20) AS departure_timeout, coalesce(r.max_participants, 0) AS max_participants,
    coalesce(s.document->>'metadata', '') AS metadata,
    (SELECT count(*) FROM meeting_participants p WHERE p.meeting_id = m.id AND p.present) AS participants,
    (SELECT count(DISTINCT t.participant_id) FROM media_streams t
        WHERE t.meeting_id = m.id AND t.unpublished_at IS NULL) AS publishers,
    coalesce(s.document->'recording' <> 'null'::jsonb, false) AS recording
    FROM meetings m JOIN room_state s ON s.meeting_id = m.id
    LEFT JOIN livekit_rooms r ON r.meeting_id = m.id
    LEFT JOIN meeting_rooms o ON o.meeting_id = m.id AND o.closed_at IS NULL
    WHERE m.breakout_of IS NULL"""
_MAX_LISTED = 1000
_SHOWS_PAGE = "EXISTS (SELECT FROM stream_keys k WHERE k.meeting_id = m.id AND k.page IS NOT NULL)"
"""A meeting `m` in which only a web page is shown, for an egress: applications do not see it as a room."""


async def listed(connection: Connection, names: Sequence[str] | None) -> list[ListedRoom]:
    """Return the live rooms and those that an application has created and keeps; with names, only these."""
    return await connection.all(
        ListedRoom,
        f"{_LISTED} AND m.status <> 'ended' AND NOT {_SHOWS_PAGE}"  # noqa: S608  constants
        " AND m.id IN (SELECT meeting_id FROM meeting_rooms WHERE closed_at IS NULL"
        " UNION SELECT meeting_id FROM livekit_rooms WHERE kept_until > now())"
        " AND ($1::text[] IS NULL OR coalesce(r.name, m.id) = ANY($1)) ORDER BY m.created_at, m.id LIMIT $2",
        names,
        _MAX_LISTED,
    )


async def one(connection: Connection, meeting: str) -> ListedRoom | None:
    return await connection.one(ListedRoom, f"{_LISTED} AND m.id = $1", meeting)


async def shows_page(connection: Connection, meeting: str) -> bool:
    """Return whether in a meeting only a web page is shown, for an egress."""
    query = f"SELECT EXISTS (SELECT FROM meetings m WHERE m.id = $1 AND {_SHOWS_PAGE})"  # noqa: S608  a constant
    return await connection.value(bool, query, meeting)


async def owner(connection: Connection, username_key: str | None) -> str | None:
    """Return the account that owns meetings created by joining: the named one, else the oldest administrator's."""
    found = await connection.fetchval(
        "SELECT id FROM users WHERE state = 'active' AND ($1::text IS NULL AND role = 'admin' OR username_key = $1)"
        " ORDER BY created_at, id LIMIT 1",
        username_key,
    )
    return None if found is None else str(found)


async def identity_of(connection: Connection, participant: str) -> str | None:
    found = await connection.fetchval("SELECT identity FROM meeting_participants WHERE id = $1", participant)
    return None if found is None else str(found)


async def name_of(connection: Connection, meeting: str) -> str | None:
    """Return the name that a token or an application gave to a meeting's room, or None if it has none."""
    found = await connection.fetchval(
        "SELECT name FROM livekit_rooms WHERE meeting_id = $1 ORDER BY name LIMIT 1", meeting
    )
    return None if found is None else str(found)


async def participant_of(connection: Connection, meeting: str, identity: str) -> str | None:
    """Return the participant with an identity, which is its id for those that came by another door."""
    found = await connection.fetchval(
        "SELECT id FROM meeting_participants WHERE meeting_id = $1 AND (identity = $2 OR id = $2)",
        meeting,
        identity,
    )
    return None if found is None else str(found)


async def sources_of(connection: Connection, meeting: str, tracks: Sequence[str]) -> list[str]:
    """Return what those tracks show that the meeting has had."""
    rows = await connection.fetch(
        "SELECT source FROM media_streams WHERE meeting_id = $1 AND track = ANY($2)", meeting, list(tracks)
    )
    return [str(row["source"]) for row in rows]
