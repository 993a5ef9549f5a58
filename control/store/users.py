"""Accounts."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from control.database import Connection
from control.identifiers import new_id
from control.problem import Problem
from control.store.window import Window, rows

UserRole = Literal["user", "admin"]
_MOST_CLAIMS = 5
NO_PASSWORD = "!"  # noqa: S105 - not the hash of any password


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
    """True forbids sign-in before the address is confirmed."""
    avatar: str | None
    """The name of the account's picture; a new picture has a new name."""

    @property
    def has_password(self) -> bool:
        return self.password_hash != NO_PASSWORD


def key(name: str) -> str:
    """Return the comparison key of a name or address: case-folded and NFKC-normalised."""
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
    """Insert an account; raises Problem 409 if another account has its name or has confirmed its address."""
    await check_free(connection, *(value for value in (username, email) if value is not None))
    try:
        return await connection.insert_new(
            UserRow,
            "users",
            id=new_id("user"),
            username=username,
            username_key=key(username),
            email=email,
            email_key=None if email is None else key(email),
            display_name=display_name,
            password_hash=password_hash,
            role=role,
            must_confirm=must_confirm,
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def check_free(connection: Connection, *names: str, user: str | None = None) -> None:
    """Raise Problem 409 if an account other than `user` has one of these as its name or confirmed address."""
    if await connection.fetchval(
        "SELECT EXISTS (SELECT FROM login_names WHERE key = ANY($1) AND user_id IS DISTINCT FROM $2)",
        [key(name) for name in names],
        user,
    ):
        raise _taken()


def _taken() -> Problem:
    return Problem(409, "account_exists", "This user name or e-mail address is already taken.")


async def by_login(connection: Connection, login: str) -> UserRow | None:
    """Return the account with this user name or e-mail address.

    A name precedes an address, and a confirmed address precedes unconfirmed ones, of which the oldest wins. So somebody
    else's later claim never takes precedence.
    """
    return await connection.one(
        UserRow,
        "SELECT * FROM users WHERE username_key = $1 OR email_key = $1"
        " ORDER BY username_key = $1 DESC, email_verified_at IS NULL, created_at, id LIMIT 1",
        key(login),
    )


async def by_email(connection: Connection, email: str) -> list[UserRow]:
    """Return the account that has confirmed this address, or else the first few that claim it."""
    found = await connection.all(
        UserRow,
        "SELECT * FROM users WHERE email_key = $1 ORDER BY email_verified_at IS NULL, created_at, id LIMIT $2",
        key(email),
        _MOST_CLAIMS,
    )
    return found[:1] if found and found[0].email_verified_at is not None else found


async def by_id(connection: Connection, user: str) -> UserRow | None:
    return await connection.one(UserRow, "SELECT * FROM users WHERE id = $1", user)


async def any_exists(connection: Connection) -> bool:
    return await connection.value(bool, "SELECT EXISTS (SELECT FROM users)")


async def rename(connection: Connection, user: str, display_name: str) -> None:
    await connection.execute("UPDATE users SET display_name = $2, updated_at = now() WHERE id = $1", user, display_name)


async def take_email(connection: Connection, user: str, email: str) -> None:
    """Set an address that the account has confirmed; raises Problem 409 if it is another's."""
    try:
        await connection.execute(
            "UPDATE users SET email = $2, email_key = $3, email_verified_at = now(), must_confirm = false,"
            " updated_at = now() WHERE id = $1",
            user,
            email,
            key(email),
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def drop_email(connection: Connection, user: str) -> None:
    await connection.execute(
        "UPDATE users SET email = NULL, email_key = NULL, email_verified_at = NULL, updated_at = now() WHERE id = $1",
        user,
    )


async def set_password(connection: Connection, user: str, password_hash: str) -> int:
    """Store a new password and return the account's new epoch.

    Everything that an intruder may have created ends: sessions, API keys, and mailed links that reset the password or
    confirm an address. Links that undo a change of address are the owner's and stay.
    """
    await connection.execute("DELETE FROM api_keys WHERE user_id = $1", user)
    await connection.execute("DELETE FROM account_tokens WHERE user_id = $1 AND purpose <> 'undo'", user)
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
    """Replace the stored hash of an unchanged password, after its parameters were strengthened."""
    await connection.execute(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", user, old_hash, new_hash
    )


async def touch_login(connection: Connection, user: str) -> None:
    await connection.execute("UPDATE users SET last_login_at = now() WHERE id = $1", user)


async def search(
    connection: Connection,
    text: str,
    window: Window,
    *,
    role: UserRole | None = None,
    state: Literal["active", "banned"] | None = None,
) -> list[UserRow]:
    """Return a page of the accounts whose name or address contains `text`, of this role and state if given."""
    return await rows(
        connection,
        UserRow,
        "SELECT * FROM users WHERE (position($1 IN username_key) > 0 OR position($1 IN coalesce(email_key, '')) > 0)"
        " AND ($2::text IS NULL OR role = $2) AND ($3::text IS NULL OR state = $3)",
        window,
        key(text),
        role,
        state,
    )


async def administer(
    connection: Connection, user: str, *, display_name: str | None = None, role: UserRole | None = None
) -> UserRow | None:
    """Change the given fields. A change of role ends the account's sessions."""
    return await connection.one(
        UserRow,
        "UPDATE users SET display_name = coalesce($2, display_name), role = coalesce($3, role),"
        " epoch = CASE WHEN coalesce($3, role) = role THEN epoch ELSE epoch + 1 END, updated_at = now()"
        " WHERE id = $1 RETURNING *",
        user,
        display_name,
        role,
    )


async def set_roles(connection: Connection, users: Iterable[str], role: UserRole) -> list[str]:
    """Give accounts a role; return those that had another one, whose sessions end."""
    return await connection.column(
        "UPDATE users SET role = $2, epoch = epoch + 1, updated_at = now() WHERE id = ANY($1) AND role <> $2"
        " RETURNING id",
        sorted(users),
        role,
    )


async def set_state(connection: Connection, user: str, state: Literal["active", "banned"]) -> UserRow | None:
    """Ban or unban an account; either ends its sessions."""
    return await connection.one(
        UserRow,
        "UPDATE users SET state = $2, epoch = epoch + 1, updated_at = now() WHERE id = $1 RETURNING *",
        user,
        state,
    )


async def active_admins(connection: Connection) -> list[str]:
    return await connection.column("SELECT id FROM users WHERE role = 'admin' AND state = 'active' FOR UPDATE")


async def set_avatar(connection: Connection, user: str, avatar: str | None) -> None:
    await connection.execute("UPDATE users SET avatar = $2, updated_at = now() WHERE id = $1", user, avatar)


async def delete(connection: Connection, user: str) -> None:
    """Delete the account and every row that refers to it; its audit entries become anonymous."""
    await connection.execute("UPDATE operation_logs SET actor = NULL, address = '' WHERE actor = $1", user)
    await connection.execute("DELETE FROM users WHERE id = $1", user)
