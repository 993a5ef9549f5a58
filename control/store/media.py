"""Rows of uploaded files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from control.database import Connection
from control.store.window import Window, rows


@dataclass(frozen=True, slots=True)
class MediaRow:
    id: str
    owner_id: str
    meeting_id: str | None
    name: str
    content_type: str
    bytes: int
    sha256: str
    thumbnail: bool
    created_at: datetime


async def add(connection: Connection, row: MediaRow) -> None:
    await connection.insert("media_files", **asdict(row))


async def by_id(connection: Connection, file: str) -> MediaRow | None:
    return await connection.one(MediaRow, "SELECT * FROM media_files WHERE id = $1", file)


async def used_by(connection: Connection, user: str) -> int:
    """Return the bytes that an account stores or is uploading, and lock the account against concurrent uploads."""
    await connection.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", user)
    return await connection.value(
        int,
        "SELECT (SELECT coalesce(sum(bytes), 0) FROM media_files WHERE owner_id = $1)"
        " + (SELECT coalesce(sum(bytes), 0) FROM loose_files WHERE owner_id = $1 AND until > now())",
        user,
    )


async def of_user(connection: Connection, user: str, window: Window, search: str = "") -> list[MediaRow]:
    return await rows(
        connection,
        MediaRow,
        "SELECT * FROM media_files WHERE owner_id = $1 AND position(lower($2) IN lower(name)) > 0",
        window,
        user,
        search,
    )


async def all_of_user(connection: Connection, user: str) -> list[MediaRow]:
    return await connection.all(MediaRow, "SELECT * FROM media_files WHERE owner_id = $1", user)


async def of_meeting(connection: Connection, meeting: str) -> list[MediaRow]:
    return await connection.all(MediaRow, "SELECT * FROM media_files WHERE meeting_id = $1", meeting)


async def delete(connection: Connection, file: str) -> None:
    await connection.execute("DELETE FROM media_files WHERE id = $1", file)


async def avatar(connection: Connection, user: str) -> str | None:
    found: str | None = await connection.fetchval("SELECT avatar FROM users WHERE id = $1", user)
    return found


@dataclass(frozen=True, slots=True)
class AvatarRow:
    participant: str
    user_id: str
    avatar: str


async def avatars(connection: Connection, meeting: str, limit: int) -> list[AvatarRow]:
    """Return the pictures of a meeting's participants, those who are there first."""
    return await connection.all(
        AvatarRow,
        "SELECT p.id AS participant, u.id AS user_id, u.avatar"
        " FROM meeting_participants p JOIN users u ON u.id = p.user_id"
        " WHERE p.meeting_id = $1 AND u.avatar IS NOT NULL AND p.removed_at IS NULL"
        " ORDER BY p.present DESC, p.created_at DESC LIMIT $2",
        meeting,
        limit,
    )


async def set_thumbnail(connection: Connection, file: str) -> bool:
    """Record that a file has a thumbnail; return False if the file was deleted."""
    return await connection.change("UPDATE media_files SET thumbnail = true WHERE id = $1", file)


async def existing(connection: Connection, files: Sequence[str]) -> set[str]:
    """Return those of the given files that exist."""
    rows = await connection.fetch("SELECT id FROM media_files WHERE id = ANY($1::text[])", list(files))
    return {row["id"] for row in rows}
