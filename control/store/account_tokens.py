"""One-time tokens that travel by mail: to confirm an address, to set a new password."""

import secrets
from typing import Literal

from control.database import Connection
from control.tokens import digest

Purpose = Literal["reset", "verify"]


async def create(connection: Connection, user: str, purpose: Purpose, email: str, seconds: int) -> str:
    """Return a new token, which replaces the account's earlier ones of the same purpose."""
    token = secrets.token_urlsafe(24)
    await connection.execute("DELETE FROM account_tokens WHERE user_id = $1 AND purpose = $2", user, purpose)
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
    """Use up a token; return the account and the address it was sent to, None when it does not hold."""
    row = await connection.fetchrow(
        "DELETE FROM account_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > now()"
        " RETURNING user_id, email",
        digest(token),
        purpose,
    )
    return None if row is None else (row["user_id"], row["email"])
