"""API keys, stream keys, recordings, storage and open invitations of all accounts, for administrators."""

from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.store.recordings import State
from control.store.window import Window, rows


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: str
    name: str
    scopes: list[str]
    user_id: str
    username: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredRecording:
    id: str
    title: str
    owner: str
    state: str
    started_at: datetime
    duration_ms: int | None
    bytes: int
    held: bool


@dataclass(frozen=True, slots=True)
class OwnerRow:
    user_id: str
    username: str
    display_name: str
    recordings: int
    recording_bytes: int
    files: int
    file_bytes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MeetingKeyRow:
    id: str
    name: str
    role: str
    meeting_id: str
    title: str
    owner: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvitationRow:
    id: str
    email: str | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime


async def stream_keys(connection: Connection, window: Window, search: str = "") -> list[MeetingKeyRow]:
    """Return the stream keys of all meetings; `search` matches their names, meetings and owners."""
    return await rows(
        connection,
        MeetingKeyRow,
        "SELECT k.*, m.title, u.username AS owner"
        " FROM stream_keys k JOIN meetings m ON m.id = k.meeting_id JOIN users u ON u.id = m.host_id",
        window,
        search=search,
        searched=("name", "title", "owner"),
    )


async def invitations(connection: Connection, window: Window, search: str = "") -> list[InvitationRow]:
    """Return the invitations that can still be used; `search` matches their addresses. `id` is the code's digest."""
    return await rows(
        connection,
        InvitationRow,
        "SELECT * FROM (SELECT encode(i.code_hash, 'hex') AS id, i.email_key AS email, u.username AS created_by,"
        " i.created_at, i.expires_at FROM invitations i LEFT JOIN users u ON u.id = i.created_by"
        " WHERE i.used_at IS NULL AND i.expires_at > now()) open WHERE TRUE",
        window,
        search=search,
        searched=("email",),
    )


async def withdraw_invitation(connection: Connection, invitation: str) -> bool:
    """Delete an invitation that can still be used; return False if there is none with this id."""
    return await connection.change(
        "DELETE FROM invitations WHERE encode(code_hash, 'hex') = $1 AND used_at IS NULL AND expires_at > now()",
        invitation,
    )


async def api_keys(connection: Connection, window: Window, search: str = "") -> list[KeyRow]:
    """Return the API keys of all accounts whose name, or the name of their account, contains `search`."""
    return await rows(
        connection,
        KeyRow,
        "SELECT k.*, u.username FROM api_keys k JOIN users u ON u.id = k.user_id"
        " WHERE position(lower($1) IN lower(k.name)) > 0 OR position(lower($1) IN u.username_key) > 0",
        window,
        search,
    )


async def revoke_key(connection: Connection, key: str) -> str | None:
    """Delete a key; return the id of its account, or None if there is no such key."""
    found: str | None = await connection.fetchval("DELETE FROM api_keys WHERE id = $1 RETURNING user_id", key)
    return found


async def recordings(
    connection: Connection, window: Window, search: str = "", state: State | None = None
) -> list[StoredRecording]:
    """Return all recordings in this state, if any, for whose title or owner `search` is given."""
    return await rows(
        connection,
        StoredRecording,
        "SELECT r.id, m.title, u.username AS owner, r.state, r.started_at, r.duration_ms,"
        " coalesce(r.bytes, 0) AS bytes, r.hold IS NOT NULL AS held"
        " FROM meeting_recordings r JOIN meetings m ON m.id = r.meeting_id JOIN users u ON u.id = m.host_id"
        " WHERE (position(lower($1) IN lower(m.title)) > 0 OR position(lower($1) IN u.username_key) > 0)"
        " AND ($2::text IS NULL OR r.state = $2)",
        window,
        search,
        state,
    )


async def owners(connection: Connection, window: Window, search: str = "") -> list[OwnerRow]:
    """Return the accounts that store anything, and in whose names `search` occurs."""
    return await rows(
        connection,
        OwnerRow,
        "WITH recorded AS (SELECT m.host_id AS id, count(*) AS number, coalesce(sum(r.bytes), 0)::bigint AS bytes"
        "   FROM meeting_recordings r JOIN meetings m ON m.id = r.meeting_id GROUP BY m.host_id),"
        " uploaded AS (SELECT owner_id AS id, count(*) AS number, sum(bytes)::bigint AS bytes"
        "   FROM media_files GROUP BY owner_id)"
        " SELECT u.id AS user_id, u.username, u.display_name, coalesce(r.number, 0) AS recordings,"
        "   coalesce(r.bytes, 0) AS recording_bytes, coalesce(f.number, 0) AS files,"
        "   coalesce(f.bytes, 0) AS file_bytes, coalesce(r.bytes, 0) + coalesce(f.bytes, 0) AS bytes"
        " FROM users u LEFT JOIN recorded r ON r.id = u.id LEFT JOIN uploaded f ON f.id = u.id"
        " WHERE (r.id IS NOT NULL OR f.id IS NOT NULL)"
        " AND (position(lower($1) IN u.username_key) > 0 OR position(lower($1) IN lower(u.display_name)) > 0)",
        window,
        search,
        key="user_id",
    )
