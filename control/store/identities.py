"""Identities of accounts at identity providers."""

import secrets

from control.database import Connection
from control.identifiers import new_id
from control.store.users import NO_PASSWORD, UserRole, UserRow, key


async def user_of(connection: Connection, issuer: str, subject: str) -> UserRow | None:
    return await connection.one(
        UserRow,
        "SELECT u.* FROM users u JOIN user_identities i ON i.user_id = u.id WHERE i.issuer = $1 AND i.subject = $2",
        issuer,
        subject,
    )


async def user_with_confirmed_email(connection: Connection, email: str) -> UserRow | None:
    """Return the account that has confirmed this address; only such an account may be linked to an identity."""
    return await connection.one(
        UserRow, "SELECT * FROM users WHERE email_key = $1 AND email_verified_at IS NOT NULL", key(email)
    )


async def link(connection: Connection, issuer: str, subject: str, user: str) -> None:
    await connection.insert("user_identities", issuer=issuer, subject=subject, user_id=user)


async def create_user(connection: Connection, wanted: str, display_name: str, email: str | None) -> UserRow:
    """Insert an account without a password. A taken name gets a suffix; a taken address is omitted."""
    username = f"{wanted[:50]}-{secrets.token_hex(3)}" if await _is_taken(connection, wanted) else wanted
    if email is not None and await _is_taken(connection, email):
        email = None
    return await connection.new(
        UserRow,
        "INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, display_name,"
        " password_hash) VALUES ($1, $2, $3, $4, $5, CASE WHEN $4::text IS NOT NULL THEN now() END, $6, $7)"
        " RETURNING *",
        new_id("user"),
        username,
        key(username),
        email,
        None if email is None else key(email),
        display_name,
        NO_PASSWORD,
    )


async def _is_taken(connection: Connection, name: str) -> bool:
    return await connection.value(bool, "SELECT EXISTS (SELECT FROM login_names WHERE key = $1)", key(name))


async def set_role(connection: Connection, user: str, role: UserRole) -> UserRow | None:
    """Set the account's role according to its groups. A change ends its other sessions."""
    return await connection.one(
        UserRow,
        "UPDATE users SET role = $2, epoch = CASE WHEN role = $2 THEN epoch ELSE epoch + 1 END"
        " WHERE id = $1 RETURNING *",
        user,
        role,
    )
