"""Stream keys of meetings: random secrets, stored hashed, and their participants."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control.database import Connection
from control.identifiers import new_id
from control.store import participants
from control.store.participants import ParticipantRow
from sfu.api.ingress import PageView, StreamState
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
    source_url: str
    ingress: str
    report: dict[str, Any] | None
    reported_at: datetime | None
    source_ended_at: datetime | None
    page: dict[str, Any] | None


async def create(
    connection: Connection,
    meeting: str,
    user: str | None,
    *,
    name: str,
    role: StreamRole,
    expires_at: datetime | None,
    sealed_url: Callable[[str], str] | None = None,
    page: PageView | None = None,
) -> tuple[StreamKeyRow, str]:
    """Insert a key and return its row and its secret, which is not stored.

    `sealed_url` returns the sealed URL that the stream is read from, given the key's id; with `page`, it is that of a
    web page.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    key = new_id("key")
    return await connection.insert_new(
        StreamKeyRow,
        "stream_keys",
        id=key,
        source_url=sealed_url(key) if sealed_url is not None else "",
        page=None if page is None else msgspec.to_builtins(page),
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


async def by_id(connection: Connection, key: str) -> StreamKeyRow | None:
    """Return a key, if it is valid."""
    return await connection.one(
        StreamKeyRow, "SELECT * FROM stream_keys WHERE id = $1 AND (expires_at IS NULL OR expires_at > now())", key
    )


async def take(connection: Connection, key: str, ingress: str) -> None:
    """Assign a key's stream to an ingress."""
    await connection.execute("UPDATE stream_keys SET ingress = $2, reported_at = now() WHERE id = $1", key, ingress)


async def note(connection: Connection, key: str, ingress: str, state: StreamState) -> bool:
    """Store an ingress's report about a stream. Return False if it must end: the meeting has ended, the key is invalid,
    or another ingress has the stream.
    """
    return await connection.change(
        "UPDATE stream_keys k SET report = $3, reported_at = now(),"
        " source_ended_at = CASE WHEN $4 AND k.source_url <> '' THEN coalesce(k.source_ended_at, now()) END"
        " FROM meetings m WHERE k.id = $1 AND k.ingress = $2 AND m.id = k.meeting_id AND m.status <> 'ended'"
        " AND (k.expires_at IS NULL OR k.expires_at > now())",
        key,
        ingress,
        msgspec.to_builtins(state),
        state.phase == "ended",
    )


async def has_people(connection: Connection, meeting: str) -> bool:
    """Return whether anybody but streams is in a meeting."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM meeting_participants WHERE meeting_id = $1 AND present"
            " AND stream_key_id IS NULL)",
            meeting,
        )
    )


async def claim_sources(connection: Connection, ingress: str, most: int, *, pages: bool) -> None:
    """Assign to an ingress up to `most` streams whose URLs no running ingress reads: web pages, or all others."""
    await connection.execute(
        "UPDATE stream_keys s SET ingress = $1, reported_at = now() FROM (SELECT id, reported_at FROM readable_streams"
        " WHERE (reported_at IS NULL OR reported_at < now() - interval '10 seconds') AND (page IS NOT NULL) = $3"
        " ORDER BY created_at, id LIMIT $2) k WHERE s.id = k.id AND s.reported_at IS NOT DISTINCT FROM k.reported_at",
        ingress,
        most,
        pages,
    )


async def sources(connection: Connection, ingress: str) -> list[StreamKeyRow]:
    """Return the keys whose URLs an ingress is to read now."""
    return await connection.all(
        StreamKeyRow, "SELECT * FROM readable_streams WHERE ingress = $1 ORDER BY created_at, id", ingress
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
        about = await connection.fetchrow("SELECT identity, metadata FROM livekit_ingresses WHERE id = $1", key.id)
        if about is None:
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
        else:
            known = await participants.with_identity(connection, key.meeting_id, about["identity"], key.name)
            found = known.id
            await connection.execute(
                "UPDATE meeting_participants SET stream_key_id = $2, name = $3, metadata = $4 WHERE id = $1",
                found,
                key.id,
                key.name,
                about["metadata"],
            )
    return await connection.new(
        ParticipantRow, "UPDATE meeting_participants SET key_used_at = now() WHERE id = $1 RETURNING *", found
    )
