"""Stream keys of meetings: random secrets, stored hashed, and their participants."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.identifiers import new_id
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
    return await connection.insert_new(
        StreamKeyRow,
        "stream_keys",
        id=new_id("key"),
        meeting_id=meeting,
        name=name,
        role=role,
        key_hash=key_hash(secret),
        created_by=user,
        expires_at=expires_at,
    ), secret


async def by_hash(connection: Connection, hashed: bytes) -> StreamKeyRow | None:
    """Return the key with this hash, if it is valid."""
    return await connection.one(
        StreamKeyRow,
        "SELECT * FROM stream_keys WHERE key_hash = $1 AND (expires_at IS NULL OR expires_at > now())",
        hashed,
    )


async def of_meeting(connection: Connection, meeting: str) -> list[StreamKeyRow]:
    return await connection.all(
        StreamKeyRow, "SELECT * FROM stream_keys WHERE meeting_id = $1 ORDER BY created_at, id", meeting
    )


async def delete(connection: Connection, meeting: str, key: str) -> list[str] | None:
    """Delete a key; return its participants that are present or may still arrive, or None if there is no such key."""
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
    """Return a participant for a key, and record its use: its one publisher, or a free player.

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
    if found is None:
        found = new_id("participant")
        await connection.insert(
            "meeting_participants",
            id=found,
            meeting_id=key.meeting_id,
            name=key.name,
            role="participant",
            rejoin_hash=b"",
            stream_key_id=key.id,
        )
    return await connection.new(
        ParticipantRow, "UPDATE meeting_participants SET key_used_at = now() WHERE id = $1 RETURNING *", found
    )
