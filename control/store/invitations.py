"""Invitations to register: random codes, stored hashed, each valid for one account."""

import secrets

from control.database import Connection
from control.identity.tokens import digest
from control.store.users import key


async def create(connection: Connection, created_by: str, email: str | None, seconds: int) -> str:
    """Store an invitation, bound to `email` if given, and return its code."""
    code = secrets.token_urlsafe(24)
    await connection.execute(
        "INSERT INTO invitations (code_hash, email_key, created_by, expires_at)"
        " VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        digest(code),
        None if email is None else key(email),
        created_by,
        seconds,
    )
    return code


async def use(connection: Connection, code: str, email: str | None) -> bool:
    """Use up an invitation; return False if it is not valid for this address."""
    return await connection.change(
        "UPDATE invitations SET used_at = now() WHERE code_hash = $1 AND used_at IS NULL AND expires_at > now()"
        " AND (email_key IS NULL OR email_key = $2)",
        digest(code),
        None if email is None else key(email),
    )
