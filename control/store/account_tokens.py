"""One-time tokens in mails: to confirm an address, reset a password, or undo a change of address."""

import secrets
from typing import Literal

from control.database import Connection
from control.identity.tokens import digest

Purpose = Literal["reset", "verify", "undo"]


async def create(connection: Connection, user: str, purpose: Purpose, email: str, seconds: int) -> str:
    """Return a new token, which replaces the account's earlier ones for the same purpose.

    Undo tokens stay: changing an address twice must not deprive the owner of their way back.
    """
    token = secrets.token_urlsafe(24)
    if purpose != "undo":
        await forget(connection, user, purpose)
    await connection.execute(
        "INSERT INTO account_tokens (token_hash, user_id, purpose, email, expires_at)"
        " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))",
        digest(token),
        user,
        purpose,
        email,
        seconds,
    )
    return token


async def redeem(connection: Connection, token: str, purpose: Purpose) -> tuple[str, str] | None:
    """Use up a token; return the account and the address it was sent to, or None if it is invalid."""
    row = await connection.fetchrow(
        "DELETE FROM account_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > now()"
        " RETURNING user_id, email",
        digest(token),
        purpose,
    )
    return None if row is None else (row["user_id"], row["email"])


async def forget(connection: Connection, user: str, purpose: Purpose) -> None:
    """Revoke an account's tokens for one purpose."""
    await connection.execute("DELETE FROM account_tokens WHERE user_id = $1 AND purpose = $2", user, purpose)


async def pending_email(connection: Connection, user: str) -> str | None:
    """Return the account's unconfirmed new address, or None if there is none."""
    found: str | None = await connection.fetchval(
        "SELECT t.email FROM account_tokens t JOIN users u ON u.id = t.user_id"
        " WHERE t.user_id = $1 AND t.purpose = 'verify' AND t.expires_at > now() AND t.email IS DISTINCT FROM u.email",
        user,
    )
    return found


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM account_tokens WHERE expires_at < now()")
