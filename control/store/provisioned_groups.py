"""Groups of accounts that identity providers keep over SCIM."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.identifiers import new_id
from control.store.users import key

_ROWS = "SELECT g.*, (SELECT count(*) FROM provisioned_group_members WHERE group_id = g.id) AS size"
_FROM = " FROM provisioned_groups g"
_MOST_FOUND = 200


@dataclass(frozen=True, slots=True)
class GroupRow:
    """`size` is the number of members."""

    id: str
    name: str
    external_id: str | None
    created_at: datetime
    updated_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class MemberRow:
    group_id: str
    user_id: str
    display_name: str


async def count(connection: Connection) -> int:
    return await connection.value(int, "SELECT count(*) FROM provisioned_groups")


async def page(connection: Connection, offset: int, limit: int) -> list[GroupRow]:
    """Return a page of all groups, oldest first."""
    sql = f"{_ROWS}{_FROM} ORDER BY g.created_at, g.id OFFSET $1 LIMIT $2"
    return await connection.all(GroupRow, sql, offset, limit)


async def by_id(connection: Connection, group: str, *, lock: bool = False) -> GroupRow | None:
    """Return a group. With `lock`, its changes wait for each other."""
    return await connection.one(GroupRow, f"{_ROWS}{_FROM} WHERE g.id = $1{' FOR UPDATE' if lock else ''}", group)


async def named(connection: Connection, name: str) -> list[GroupRow]:
    return await connection.all(GroupRow, f"{_ROWS}{_FROM} WHERE g.name_key = $1", key(name))


async def with_external_id(connection: Connection, external_id: str) -> list[GroupRow]:
    sql = f"{_ROWS}{_FROM} WHERE g.external_id = $1 ORDER BY g.created_at LIMIT {_MOST_FOUND}"
    return await connection.all(GroupRow, sql, external_id)


async def with_member(connection: Connection, user: str) -> list[GroupRow]:
    sql = (
        f"{_ROWS}{_FROM} JOIN provisioned_group_members m ON m.group_id = g.id AND m.user_id = $1"
        f" ORDER BY g.created_at LIMIT {_MOST_FOUND}"
    )
    return await connection.all(GroupRow, sql, user)


async def members(connection: Connection, groups: Iterable[str]) -> list[MemberRow]:
    """Return the members of groups, by name."""
    return await connection.all(
        MemberRow,
        "SELECT m.group_id, m.user_id, u.display_name FROM provisioned_group_members m JOIN users u ON u.id = m.user_id"
        " WHERE m.group_id = ANY($1) ORDER BY u.display_name, u.id",
        list(groups),
    )


async def create(connection: Connection, name: str, external_id: str | None) -> str:
    """Insert an empty group and return its id; raises asyncpg.UniqueViolationError if the name is taken."""
    group = new_id("group")
    await connection.insert("provisioned_groups", id=group, name=name, name_key=key(name), external_id=external_id)
    return group


async def describe(connection: Connection, group: str, name: str, external_id: str | None) -> None:
    """Change a group's name and id at the provider; raises asyncpg.UniqueViolationError if the name is taken."""
    await connection.execute(
        "UPDATE provisioned_groups SET name = $2, name_key = $3, external_id = $4, updated_at = now() WHERE id = $1",
        group,
        name,
        key(name),
        external_id,
    )


async def add(connection: Connection, group: str, users: Iterable[str]) -> list[str]:
    """Add accounts to a group, and return those that exist."""
    return await connection.column(
        "INSERT INTO provisioned_group_members SELECT $1, id FROM users WHERE id = ANY($2) FOR KEY SHARE"
        " ON CONFLICT DO NOTHING RETURNING user_id",
        group,
        sorted(users),
    )


async def remove(connection: Connection, group: str, users: Iterable[str]) -> None:
    await connection.execute(
        "DELETE FROM provisioned_group_members WHERE group_id = $1 AND user_id = ANY($2)", group, sorted(users)
    )


async def delete(connection: Connection, group: str) -> None:
    await connection.execute("DELETE FROM provisioned_groups WHERE id = $1", group)
