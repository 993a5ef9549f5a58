"""Signed links: one row per link, named in its signature, until the link expires or is deleted."""

from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.identifiers import new_id


@dataclass(frozen=True, slots=True)
class Target:
    """An uploaded file, or a file of a recording by its `name`. Exactly one of the first two is set."""

    media_id: str | None = None
    recording_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SignedLinkRow:
    id: str
    media_id: str | None
    recording_id: str | None
    name: str | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime


async def create(connection: Connection, target: Target, user: str | None, expires_at: datetime) -> SignedLinkRow:
    """Insert a link; `user` is None for a guest."""
    return await connection.insert_new(
        SignedLinkRow,
        "signed_links",
        id=new_id("link"),
        media_id=target.media_id,
        recording_id=target.recording_id,
        name=target.name,
        created_by=user,
        expires_at=expires_at,
    )


async def of_target(connection: Connection, target: Target, user: str | None = None) -> list[SignedLinkRow]:
    """Return the valid links of a file, or of any file of a recording; with `user`, only the user's own."""
    return await connection.all(
        SignedLinkRow,
        "SELECT * FROM signed_links WHERE (media_id = $1 OR recording_id = $2)"
        " AND ($3::text IS NULL OR created_by = $3) AND expires_at > now() ORDER BY created_at DESC, id LIMIT 1000",
        target.media_id,
        target.recording_id,
        user,
    )


async def holds(connection: Connection, link: str) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM signed_links WHERE id = $1 AND expires_at > now())", link
    )
    return found


async def delete(connection: Connection, target: Target, link: str, user: str | None = None) -> bool:
    """Delete a link; with `user`, only one of the user's own."""
    return await connection.change(
        "DELETE FROM signed_links WHERE id = $1 AND (media_id = $2 OR recording_id = $3)"
        " AND ($4::text IS NULL OR created_by = $4)",
        link,
        target.media_id,
        target.recording_id,
        user,
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM signed_links WHERE expires_at < now()")
