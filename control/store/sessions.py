"""Sessions. A session is valid until it is revoked or expires, or the account's epoch changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from control.database import Connection
from control.identifiers import new_id
from control.identity.tokens import REFRESH_SECONDS
from control.store.users import UserRole

PROOF_SECONDS = 300
_LONGEST_DAYS = 90
"""Maximum lifetime, in days, of a session in use; after that, its user must sign in again."""
_GRACE = timedelta(seconds=10)
"""Grace period: if two tabs refresh with the same token at once, it is not theft."""


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A valid session, with the fields of its account that authorization needs.

    `strong`: it was opened with a second factor, with a passkey, or at an identity provider. `proved`: the last proof
    of identity is at most PROOF_SECONDS old.
    """

    session: str
    user: str
    username: str
    display_name: str
    role: UserRole
    epoch: int
    strong: bool
    proved: bool


@dataclass(frozen=True, slots=True)
class Rotation:
    """Outcome of a refresh. `generation` is the one of the token to issue, or None if `kept`: another tab has it."""

    outcome: Literal["rotated", "kept", "reused", "gone"]
    session: LiveSession | None = None
    generation: int | None = None


_LIVE = (
    "SELECT s.id AS session, u.id AS user, u.username, u.display_name, u.role, u.epoch, s.strong,"
    " s.proved_at > now() - make_interval(secs => $2) AS proved"
    " FROM user_sessions s JOIN users u ON u.id = s.user_id"
    " WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND s.epoch = u.epoch AND u.state = 'active'"
)


async def create(
    connection: Connection,
    user: str,
    epoch: int,
    user_agent: str,
    address: str,
    *,
    strong: bool,
    proved_at: datetime | None = None,
) -> str:
    """Insert a session of generation 1 and return its id; without `proved_at`, the proof is from now."""
    session = new_id("session")
    await connection.execute(
        "INSERT INTO user_sessions (id, user_id, epoch, expires_at, user_agent, address, strong, proved_at)"
        " VALUES ($1, $2, $3, now() + make_interval(secs => $4), $5, $6, $7, least(now(), $8))",
        session,
        user,
        epoch,
        REFRESH_SECONDS,
        user_agent[:300],
        address,
        strong,
        proved_at,
    )
    return session


async def were_like(connection: Connection, user: str, user_agent: str, address: str) -> bool:
    """Return whether an account had a session with this browser and address, or had none at all."""
    return await connection.value(
        bool,
        "SELECT EXISTS (SELECT FROM user_sessions WHERE user_id = $1 AND user_agent = $2 AND address = $3)"
        " OR NOT EXISTS (SELECT FROM users WHERE id = $1 AND last_login_at IS NOT NULL)",
        user,
        user_agent[:300],
        address,
    )


async def prove(connection: Connection, session: str) -> None:
    """Record that the session's user has just proved their identity."""
    await connection.execute("UPDATE user_sessions SET proved_at = now() WHERE id = $1", session)


async def strengthen(connection: Connection, session: str) -> None:
    """Record that the session now has a second factor."""
    await connection.execute("UPDATE user_sessions SET strong = true WHERE id = $1", session)


async def live(connection: Connection, session: str) -> LiveSession | None:
    return await connection.one(LiveSession, _LIVE, session, PROOF_SECONDS)


async def rotate(connection: Connection, session: str, generation: int) -> Rotation:
    """Advance to the next generation. Presenting an old one after the grace period revokes the session."""
    row = await connection.fetchrow(
        "SELECT generation, rotated_at, now() AS now FROM user_sessions"
        " WHERE id = $1 AND revoked_at IS NULL FOR UPDATE",
        session,
    )
    found = await live(connection, session)
    if row is None or found is None:
        return Rotation("gone")
    rotated_at: datetime = row["rotated_at"]
    if generation == row["generation"]:
        await connection.execute(
            "UPDATE user_sessions SET generation = generation + 1, rotated_at = now(), last_used_at = now(),"
            " expires_at = least(now() + make_interval(secs => $2), created_at + make_interval(days => $3))"
            " WHERE id = $1",
            session,
            REFRESH_SECONDS,
            _LONGEST_DAYS,
        )
        return Rotation("rotated", found, generation + 1)
    if generation == row["generation"] - 1 and row["now"] - rotated_at < _GRACE:
        return Rotation("kept", found)
    await revoke(connection, session)
    return Rotation("reused")


async def revoke(connection: Connection, session: str) -> None:
    await connection.execute(
        "UPDATE user_sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", session
    )


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as shown to its owner."""

    id: str
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    address: str


async def of_user(connection: Connection, user: str) -> list[SessionRow]:
    """Return the account's valid sessions, newest first."""
    return await connection.all(
        SessionRow,
        "SELECT s.* FROM user_sessions s JOIN users u ON u.id = s.user_id AND u.epoch = s.epoch"
        " WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() ORDER BY s.last_used_at DESC",
        user,
    )


async def revoke_own(connection: Connection, user: str, session: str) -> bool:
    """Revoke a session of this account; return False if there is none with this id."""
    return await connection.change(
        "UPDATE user_sessions SET revoked_at = now() WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        session,
        user,
    )


async def forget_old(connection: Connection) -> None:
    """Delete sessions that ended more than a day ago."""
    await connection.execute(
        "DELETE FROM user_sessions WHERE least(expires_at, coalesce(revoked_at, 'infinity')) < now() - interval '1 day'"
    )
