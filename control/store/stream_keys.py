"""Stream keys: random secrets of a meeting, stored hashed, and their participants."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection, load, load_one
from control.identifiers import new_id
from control.identity.tokens import digest, new_rejoin_secret
from control.store.participants import ParticipantRow
from sfu.api.stream_key import PREFIX, StreamRole, key_hash


@dataclass(frozen=True, slots=True)
class StreamKeyRow:
    id: str
    meeting_id: str
    name: str
    role: StreamRole
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


async def create(
    connection: Connection,
    meeting: str,
    user: str | None,
    *,
    name: str,
    role: StreamRole,
    expires_at: datetime | None,
) -> tuple[StreamKeyRow, str]:
    """Insert a key and return its row and its secret, which is not stored."""
    secret = PREFIX + secrets.token_urlsafe(32)
    row = await connection.fetchrow(
        "INSERT INTO stream_keys (id, meeting_id, name, role, key_hash, created_by, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
        new_id("key"),
        meeting,
        name,
        role,
        key_hash(secret),
        user,
        expires_at,
    )
    assert row is not None
    return load(StreamKeyRow, row), secret


async def by_hash(connection: Connection, hashed: bytes) -> StreamKeyRow | None:
    """Return the key with this hash, if it is valid."""
    row = await connection.fetchrow(
        "SELECT * FROM stream_keys WHERE key_hash = $1 AND (expires_at IS NULL OR expires_at > now())", hashed
    )
    return load_one(StreamKeyRow, row)


async def of_meeting(connection: Connection, meeting: str) -> list[StreamKeyRow]:
    rows = await connection.fetch("SELECT * FROM stream_keys WHERE meeting_id = $1 ORDER BY created_at, id", meeting)
    return [load(StreamKeyRow, row) for row in rows]


async def delete(connection: Connection, meeting: str, key: str) -> list[str] | None:
    """Delete a key; return its participants that are present or may still arrive. None if there is no such key."""
    rows = await connection.fetch(
        "SELECT id FROM meeting_participants WHERE stream_key_id = $1"
        " AND (present OR key_used_at > now() - interval '5 minutes')",
        key,
    )
    found = await connection.fetchval(
        "DELETE FROM stream_keys WHERE id = $1 AND meeting_id = $2 RETURNING id", key, meeting
    )
    return None if found is None else [row["id"] for row in rows]


async def participant(connection: Connection, key: StreamKeyRow) -> ParticipantRow:
    """Return a participant for a key, noting its use: its one publisher, or a free player.

    A player is free if it left and was not assigned recently. Needs a transaction.
    """
    await connection.execute("UPDATE stream_keys SET last_used_at = now() WHERE id = $1", key.id)
    found = await connection.fetchval(
        "SELECT id FROM meeting_participants WHERE stream_key_id = $1 AND ($2 = 'publish' OR ("
        " removed_at IS NULL AND NOT present AND key_used_at < now() - interval '2 minutes'))"
        " ORDER BY key_used_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        key.id,
        key.role,
    )
    if found is not None:
        row = await connection.fetchrow(
            "UPDATE meeting_participants SET key_used_at = now() WHERE id = $1 RETURNING *", found
        )
    else:
        made = new_id("participant")
        row = await connection.fetchrow(
            "INSERT INTO meeting_participants"
            " (id, meeting_id, name, role, rejoin_hash, stream_key_id, key_used_at)"
            " VALUES ($1, $2, $3, 'participant', $4, $5, now()) RETURNING *",
            made,
            key.meeting_id,
            key.name,
            digest(new_rejoin_secret(made)),
            key.id,
        )
    assert row is not None
    return load(ParticipantRow, row)
