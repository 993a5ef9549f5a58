"""Accounts as identity providers see them over SCIM, including accounts that no provider has created."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from control.database import Connection
from control.store.users import UserRole, key

_ROWS = (
    "SELECT u.id, coalesce(p.user_name, u.email, u.username) AS user_name, p.external_id, u.display_name, u.email,"
    " u.role, u.state, coalesce(p.attributes, '{}') AS attributes, u.created_at,"
    " (SELECT coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.name_key), '[]') FROM"
    " (SELECT o.* FROM provisioned_group_members m JOIN provisioned_groups o ON o.id = m.group_id"
    " WHERE m.user_id = u.id ORDER BY o.name_key LIMIT 100) g) AS groups,"
    " greatest(u.updated_at, p.updated_at) AS updated_at"
    " FROM users u LEFT JOIN provisioned_users p ON p.user_id = u.id"
)
_NAMES = "(p.user_name_key = $1 OR p.user_id IS NULL AND (u.username_key = $1 OR u.email_key = $1))"


@dataclass(frozen=True, slots=True)
class ProvisionedRow:
    id: str
    user_name: str
    external_id: str | None
    display_name: str
    email: str | None
    role: UserRole
    state: Literal["active", "banned"]
    attributes: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    groups: list[dict[str, str]]
    """The ids and names of its first hundred groups."""


async def by_id(connection: Connection, user: str) -> ProvisionedRow | None:
    return await connection.one(ProvisionedRow, f"{_ROWS} WHERE u.id = $1", user)


async def named(connection: Connection, name: str) -> list[ProvisionedRow]:
    """Return the account with this userName. Accounts that no provider has created match by user name or address."""
    return await connection.all(ProvisionedRow, f"{_ROWS} WHERE {_NAMES} LIMIT 2", key(name))


async def with_external_id(connection: Connection, external_id: str) -> list[ProvisionedRow]:
    sql = f"{_ROWS} WHERE p.external_id = $1 ORDER BY u.created_at LIMIT 200"
    return await connection.all(ProvisionedRow, sql, external_id)


async def with_email(connection: Connection, email: str) -> list[ProvisionedRow]:
    sql = f"{_ROWS} WHERE u.email_key = $1 ORDER BY u.created_at LIMIT 200"
    return await connection.all(ProvisionedRow, sql, key(email))


async def page(connection: Connection, offset: int, limit: int) -> tuple[int, list[ProvisionedRow]]:
    """Return the number of all accounts, and a page of them, oldest first."""
    total = await connection.value(int, "SELECT count(*) FROM users")
    sql = f"{_ROWS} ORDER BY u.created_at, u.id OFFSET $1 LIMIT $2"
    return total, await connection.all(ProvisionedRow, sql, offset, limit)


async def keep(
    connection: Connection, user: str, user_name: str, external_id: str | None, attributes: dict[str, Any]
) -> None:
    """Store the provider's data of an account; raises asyncpg.UniqueViolationError if another has the name."""
    await connection.execute(
        "INSERT INTO provisioned_users (user_id, user_name, user_name_key, external_id, attributes)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id) DO UPDATE SET user_name = $2, user_name_key = $3,"
        " external_id = $4, attributes = $5, updated_at = now()",
        user,
        user_name,
        key(user_name),
        external_id,
        attributes,
    )
