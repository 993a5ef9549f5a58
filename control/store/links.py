"""Shared links of recordings: random tokens, stored hashed, valid until they expire or are deleted.

A link may have a passcode, hashed like a meeting's, and may be limited to addresses of some domains.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.identifiers import new_id
from control.identity.tokens import digest


@dataclass(frozen=True, slots=True)
class LinkRow:
    id: str
    recording_id: str
    created_at: datetime
    expires_at: datetime
    passcode_hash: str | None
    film_id: str | None
    """The only film that the link opens; None opens the whole recording."""
    domains: list[str]
    """Domains of the addresses that may open it, in lower case; empty for everybody."""


async def create(
    connection: Connection,
    recording: str,
    user: str,
    seconds: int,
    *,
    passcode_hash: str | None,
    film: str | None,
    domains: list[str],
) -> tuple[LinkRow, str]:
    """Insert a link and return it with its token, which is not stored."""
    token = secrets.token_urlsafe(24)
    return await connection.new(
        LinkRow,
        "INSERT INTO recording_links (id, recording_id, token_hash, created_by, expires_at, passcode_hash, film_id,"
        " domains)"
        " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $6, $7, $8) RETURNING *",
        new_id("link"),
        recording,
        digest(token),
        user,
        seconds,
        passcode_hash,
        film,
        domains,
    ), token


async def of_recording(connection: Connection, recording: str) -> list[LinkRow]:
    return await connection.all(
        LinkRow,
        "SELECT * FROM recording_links WHERE recording_id = $1 AND expires_at > now() ORDER BY created_at DESC",
        recording,
    )


async def by_token(connection: Connection, token: str) -> LinkRow | None:
    """Return the link of a token, or None if the token is invalid."""
    return await connection.one(
        LinkRow, "SELECT * FROM recording_links WHERE token_hash = $1 AND expires_at > now()", digest(token)
    )


async def delete(connection: Connection, recording_id: str, link: str) -> bool:
    return await connection.change(
        "DELETE FROM recording_links WHERE id = $1 AND recording_id = $2", link, recording_id
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM recording_links WHERE expires_at < now()")
