"""Routes of SCIM groups. The members of one group, named by a setting, are administrators."""

from collections.abc import Callable, Iterable, Sequence

import asyncpg
from quart import Quart, Response, request

from control.database import Connection
from control.scim import paths
from control.scim.errors import ScimError, invalid
from control.scim.groups import Group, patched, resource_of, wanted
from control.scim.serving import Caller, Resource, absent, add_route, answer, fits, listed, read_body, window
from control.services import Services
from control.store import audit, provisioned_groups, users
from control.store.provisioned_groups import GroupRow, MemberRow

MAX_GROUPS = 5000
_MAX_BODY = 1024 * 1024  # a PUT names all members
_MOST_MEMBERS_LISTED = 20_000
"""Lists end before this many members, so a list may be shorter than was asked (RFC 7644, section 3.4.2.4)."""


def install(app: Quart, services: Services) -> None:
    """Add the routes."""
    for method, path, handler in (
        ("GET", "/Groups", _find),
        ("POST", "/Groups", _create),
        ("GET", "/Groups/<group>", _get),
        ("PUT", "/Groups/<group>", _replace),
        ("PATCH", "/Groups/<group>", _patch),
        ("DELETE", "/Groups/<group>", _delete),
    ):
        add_route(app, services, method, path, handler)


async def _find(caller: Caller) -> Response:
    """List groups, or those that a filter selects by displayName, externalId, id or a member."""
    start, number = window()
    text = request.args.get("filter", "")
    async with caller.services.pool.acquire() as connection:
        if text:
            found = await _filtered(caller, connection, paths.parse_filter(text))
            return answer(listed(found[start - 1 :][:number], len(found), start))
        total = await provisioned_groups.count(connection)
        rows = await provisioned_groups.page(connection, start - 1, number)
        return answer(listed(await _resources(caller, connection, rows), total, start))


async def _filtered(
    caller: Caller, connection: Connection, comparisons: tuple[paths.Comparison, ...]
) -> list[Resource]:
    """Return the matching resources. One comparison must be an `eq` of an indexed attribute; raises ScimError."""
    for comparison in comparisons:
        name, value = paths.parse_path(comparison.path).name.lower(), comparison.value
        if comparison.operator != "eq" or not isinstance(value, str):
            continue
        value = value.replace("\x00", "")
        match name:
            case "id":
                row = await provisioned_groups.by_id(connection, value)
                rows = [row] if row is not None else []
            case "displayname":
                rows = await provisioned_groups.named(connection, value)
            case "externalid":
                rows = await provisioned_groups.with_external_id(connection, value)
            case "members":
                rows = await provisioned_groups.with_member(connection, value)
            case _:
                continue
        others = [one for one in comparisons if one is not comparison]
        needs_members = any(paths.parse_path(one.path).name.lower() == "members" for one in others)
        resources = await _resources(caller, connection, rows, needs_members=needs_members)
        return [one for one in resources if all(fits(other, one) for other in others)]
    raise invalid("A filter must compare displayName, externalId, id or members with eq.", "invalidFilter")


def _shows_members() -> bool:
    """Return False if the request excludes the members (RFC 7644, section 3.9)."""
    attributes, excluded = (
        {name.strip().lower() for name in request.args.get(parameter, "").split(",") if name.strip()}
        for parameter in ("attributes", "excludedAttributes")
    )
    return "members" in attributes if attributes else "members" not in excluded


async def _resources(
    caller: Caller, connection: Connection, rows: Sequence[GroupRow], *, needs_members: bool = False
) -> list[Resource]:
    """Return groups with their members, unless the request excludes them. The list ends at the limit on members."""
    if not _shows_members() and not needs_members:
        return [resource_of(row, None, caller.base) for row in rows]
    kept: list[GroupRow] = []
    for row in rows:
        if kept and sum(one.size for one in kept) + row.size > _MOST_MEMBERS_LISTED:
            break
        kept.append(row)
    by_group: dict[str, list[MemberRow]] = {row.id: [] for row in kept}
    for member in await provisioned_groups.members(connection, by_group.keys()):
        by_group[member.group_id].append(member)
    return [resource_of(row, by_group[row.id], caller.base) for row in kept]


async def _get(caller: Caller, group: str) -> Response:
    async with caller.services.pool.acquire() as connection:
        return answer(await _resource(caller, connection, group))


async def _resource(caller: Caller, connection: Connection, group: str) -> Resource:
    (resource,) = await _resources(caller, connection, [await _existing(connection, group)])
    return resource


async def _existing(connection: Connection, group: str, *, lock: bool = False) -> GroupRow:
    row = await provisioned_groups.by_id(connection, group.replace("\x00", ""), lock=lock)
    if row is None:
        raise absent()
    return row


async def _create(caller: Caller) -> Response:
    asked = wanted(await read_body(_MAX_BODY))
    async with caller.services.pool.acquire() as connection, connection.transaction():
        if await provisioned_groups.count(connection) >= MAX_GROUPS:
            raise ScimError(403, f"There are {MAX_GROUPS:,} groups already.")
        try:
            async with connection.transaction():
                group = await provisioned_groups.create(connection, asked.name, asked.external_id)
        except asyncpg.UniqueViolationError as error:
            raise _name_taken() from error
        before = Group(asked.name, asked.external_id, frozenset())
        await _keep(caller, connection, group, before, asked)
        resource = await _resource(caller, connection, group)
    response = answer(resource, 201)
    response.headers["Location"] = resource["meta"]["location"]
    return response


async def _replace(caller: Caller, group: str) -> Response:
    asked = wanted(await read_body(_MAX_BODY))
    async with caller.services.pool.acquire() as connection:
        await _change(caller, connection, group, lambda _: asked)
        return answer(await _resource(caller, connection, group))


async def _patch(caller: Caller, group: str) -> Response:
    asked = await read_body(_MAX_BODY)
    async with caller.services.pool.acquire() as connection:
        await _change(caller, connection, group, lambda before: patched(before, asked))
    return Response(b"", 204)


async def _change(caller: Caller, connection: Connection, group: str, change: Callable[[Group], Group]) -> None:
    async with connection.transaction():
        row = await _existing(connection, group, lock=True)
        members = await provisioned_groups.members(connection, [row.id])
        before = Group(row.name, row.external_id, frozenset(member.user_id for member in members))
        asked = change(before)
        try:
            async with connection.transaction():
                await provisioned_groups.describe(connection, row.id, asked.name, asked.external_id)
        except asyncpg.UniqueViolationError as error:
            raise _name_taken() from error
        await _keep(caller, connection, row.id, before, asked)


def _name_taken() -> ScimError:
    return ScimError(409, "Another group already has this displayName.", "uniqueness")


async def _keep(caller: Caller, connection: Connection, group: str, before: Group, asked: Group) -> None:
    """Store the members, and give their accounts the group's role."""
    joining, leaving = asked.members - before.members, before.members - asked.members
    if joining != set(await provisioned_groups.add(connection, group, joining)):
        raise invalid("A member is not the id of an account.")
    await provisioned_groups.remove(connection, group, leaving)
    had, has = _administers(caller, before.name), _administers(caller, asked.name)
    await _demote(caller, connection, (before.members if not has else leaving) if had else ())
    await _promote(caller, connection, (asked.members if not had else joining) if has else ())
    about = {"name": asked.name, "added": len(joining), "removed": len(leaving)}
    await audit.write(connection, caller.actor, "provision_group", group, caller.address, **about)


def _administers(caller: Caller, name: str) -> bool:
    """Return True if the members of a group of this name are administrators."""
    chosen = caller.services.config.scim_admin_group
    return chosen is not None and users.key(chosen) == users.key(name)


async def _promote(caller: Caller, connection: Connection, members: Iterable[str]) -> None:
    for user in await users.set_roles(connection, members, "admin"):
        await audit.write(connection, caller.actor, "provision_user", user, caller.address, role="admin")


async def _demote(caller: Caller, connection: Connection, members: Iterable[str]) -> None:
    leaving = set(members)
    if leaving and not set(await users.active_admins(connection)) - leaving:
        raise ScimError(409, "This would leave the server without an administrator.")
    for user in await users.set_roles(connection, leaving, "user"):
        await audit.write(connection, caller.actor, "provision_user", user, caller.address, role="user")


async def _delete(caller: Caller, group: str) -> Response:
    """Delete a group; its members stay."""
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await _existing(connection, group, lock=True)
        if _administers(caller, row.name):
            members = await provisioned_groups.members(connection, [row.id])
            await _demote(caller, connection, [member.user_id for member in members])
        await provisioned_groups.delete(connection, row.id)
        await audit.write(connection, caller.actor, "delete_group", row.id, caller.address, name=row.name)
    return Response(b"", 204)
