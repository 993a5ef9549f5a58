"""Accounts."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from control.database import Connection, load, load_one
from control.identifiers import new_id
from control.problem import Problem

UserRole = Literal["user", "admin"]


@dataclass(frozen=True, slots=True)
class UserRow:
    id: str
    username: str
    email: str | None
    email_verified_at: datetime | None
    display_name: str
    password_hash: str
    role: UserRole
    state: Literal["active", "banned"]
    epoch: int
    created_at: datetime
    must_confirm: bool
    """Nobody signs in to it before its address is confirmed."""


def key(name: str) -> str:
    """Return what makes two spellings of a name or address the same: case, and letters that look alike by NFKC."""
    return unicodedata.normalize("NFKC", name).casefold()


async def create(
    connection: Connection,
    *,
    username: str,
    email: str | None,
    display_name: str,
    password_hash: str,
    role: UserRole = "user",
    must_confirm: bool = False,
) -> UserRow:
    """Insert an account; raises Problem 409 when name or address are taken, also by the other's spelling."""
    taken = await connection.fetchval(
        "SELECT count(*) FROM users WHERE username_key = ANY($1) OR email_key = ANY($1)",
        [key(value) for value in (username, email) if value is not None],
    )
    if taken:
        raise _taken()
    try:
        row = await connection.fetchrow(
            "INSERT INTO users (id, username, username_key, email, email_key, display_name, password_hash, role,"
            " must_confirm) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *",
            new_id("user"),
            username,
            key(username),
            email,
            key(email) if email is not None else None,
            display_name,
            password_hash,
            role,
            must_confirm,
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error
    assert row is not None
    return load(UserRow, row)


def _taken() -> Problem:
    return Problem(409, "account_exists", "This user name or e-mail address is taken.")


async def by_login(connection: Connection, login: str) -> UserRow | None:
    """Return the account with this user name or e-mail address."""
    row = await connection.fetchrow("SELECT * FROM users WHERE username_key = $1 OR email_key = $1 LIMIT 1", key(login))
    return load_one(UserRow, row)


async def by_id(connection: Connection, user: str) -> UserRow | None:
    row = await connection.fetchrow("SELECT * FROM users WHERE id = $1", user)
    return load_one(UserRow, row)


async def any_exists(connection: Connection) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM users)"))


async def update_profile(connection: Connection, user: str, display_name: str, email: str | None) -> UserRow:
    """Change name and address; a changed address is no longer verified. Raises Problem 409 when it is taken."""
    try:
        row = await connection.fetchrow(
            "UPDATE users SET display_name = $2, email = $3, email_key = $4, updated_at = now(),"
            " email_verified_at = CASE WHEN email_key IS NOT DISTINCT FROM $4 THEN email_verified_at END"
            " WHERE id = $1 RETURNING *",
            user,
            display_name,
            email,
            key(email) if email is not None else None,
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error
    if row is None:
        raise Problem(404, "not_found", "This account does not exist.")
    return load(UserRow, row)


async def set_password(connection: Connection, user: str, password_hash: str) -> int:
    """Store a new password, end every session of the account, and return its new epoch."""
    epoch = await connection.fetchval(
        "UPDATE users SET password_hash = $2, epoch = epoch + 1, updated_at = now() WHERE id = $1 RETURNING epoch",
        user,
        password_hash,
    )
    await connection.execute(
        "UPDATE user_sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", user
    )
    return int(epoch)


async def rehash(connection: Connection, user: str, old_hash: str, new_hash: str) -> None:
    """Replace the stored hash of an unchanged password after its parameters were raised."""
    await connection.execute(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", user, old_hash, new_hash
    )


async def touch_login(connection: Connection, user: str) -> None:
    await connection.execute("UPDATE users SET last_login_at = now() WHERE id = $1", user)


async def confirm_email(connection: Connection, user: str, email: str) -> bool:
    """Note that the address is the account's; False when it has another by now."""
    found = await connection.fetchval(
        "UPDATE users SET email_verified_at = now(), must_confirm = false"
        " WHERE id = $1 AND email_key = $2 RETURNING id",
        user,
        key(email),
    )
    return found is not None


async def search(connection: Connection, text: str, limit: int, before: tuple[datetime, str] | None) -> list[UserRow]:
    """Return accounts whose name or address contains `text`, newest first."""
    moment, last = before or (None, None)
    rows = await connection.fetch(
        "SELECT * FROM users WHERE (position($1 IN username_key) > 0 OR position($1 IN coalesce(email_key, '')) > 0)"
        " AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::text))"
        " ORDER BY created_at DESC, id DESC LIMIT $4",
        key(text),
        moment,
        last,
        limit,
    )
    return [load(UserRow, row) for row in rows]


async def administer(
    connection: Connection, user: str, *, display_name: str | None = None, role: UserRole | None = None
) -> UserRow | None:
    """Change what is given; a changed role ends the account's sessions."""
    row = await connection.fetchrow(
        "UPDATE users SET display_name = coalesce($2, display_name), role = coalesce($3, role),"
        " epoch = CASE WHEN coalesce($3, role) = role THEN epoch ELSE epoch + 1 END, updated_at = now()"
        " WHERE id = $1 RETURNING *",
        user,
        display_name,
        role,
    )
    return load_one(UserRow, row)


async def set_state(connection: Connection, user: str, state: Literal["active", "banned"]) -> UserRow | None:
    """Ban or unban; either ends the account's sessions."""
    row = await connection.fetchrow(
        "UPDATE users SET state = $2, epoch = epoch + 1, updated_at = now() WHERE id = $1 RETURNING *", user, state
    )
    return load_one(UserRow, row)


async def active_admins(connection: Connection) -> list[str]:
    rows = await connection.fetch("SELECT id FROM users WHERE role = 'admin' AND state = 'active' FOR UPDATE")
    return [row["id"] for row in rows]


async def set_avatar(connection: Connection, user: str, avatar: str | None) -> None:
    await connection.execute("UPDATE users SET avatar = $2, updated_at = now() WHERE id = $1", user, avatar)


async def delete(connection: Connection, user: str) -> None:
    """Remove the account and every row that refers to it; its traces in the audit log lose their name."""
    await connection.execute("UPDATE operation_logs SET actor = NULL, address = '' WHERE actor = $1", user)
    await connection.execute("DELETE FROM users WHERE id = $1", user)
