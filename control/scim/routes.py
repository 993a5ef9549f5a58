"""Routes of SCIM (`/scim/v2/…`), for API keys of administrators with the scope `provisioning:write`."""

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from quart import Quart, Response, request

from control import removal
from control.database import Connection
from control.meetings.accounts import remove_from_rooms
from control.scim import discovery, group_routes, paths
from control.scim.errors import ScimError, invalid
from control.scim.patches import patched
from control.scim.serving import (
    PREFIX,
    TYPE,
    Caller,
    Handler,
    absent,
    add_route,
    answer,
    entry_with_id,
    fits,
    listed,
    read_body,
    window,
)
from control.scim.users import Resource, Wanted, resource_of, wanted
from control.services import Services
from control.store import audit, identities, outbox, provisioning, users
from control.store.provisioning import ProvisionedRow
from sfu.api.desired_state import DesiredState


def install(app: Quart, services: Services) -> None:
    """Add the routes."""

    def route(method: str, path: str, handler: Handler) -> None:
        add_route(app, services, method, path, handler)

    for path, describe in (
        ("/ServiceProviderConfig", discovery.service_provider_config),
        ("/ResourceTypes", lambda base: listed(discovery.resource_types(base))),
        ("/Schemas", lambda base: listed(discovery.schemas(base))),
    ):
        route("GET", path, _describing(describe))
    route("GET", "/Schemas/<urn>", _get_schema)
    route("GET", "/ResourceTypes/<name>", _get_resource_type)
    route("GET", "/Users", _find)
    route("POST", "/Users", _create)
    route("GET", "/Users/<user>", _get)
    route("PUT", "/Users/<user>", _replace)
    route("PATCH", "/Users/<user>", _patch)
    route("DELETE", "/Users/<user>", _delete)
    group_routes.install(app, services)
    app.after_request(_in_scim_form)


async def _in_scim_form(response: Response) -> Response:
    """Convert errors that no handler here has made: unknown paths and methods, and failures."""
    if request.path.startswith(f"{PREFIX}/") and response.mimetype == "application/problem+json":
        told = msgspec.json.decode(await response.get_data())
        response.set_data(msgspec.json.encode(ScimError(response.status_code, told["detail"]).body))
        response.content_type = TYPE
    return response


def _describing(describe: Callable[[str], Any]) -> Handler:
    async def handle(caller: Caller) -> Response:
        return answer(describe(caller.base))

    return handle


async def _get_schema(caller: Caller, urn: str) -> Response:
    return answer(entry_with_id(discovery.schemas(caller.base), urn))


async def _get_resource_type(caller: Caller, name: str) -> Response:
    return answer(entry_with_id(discovery.resource_types(caller.base), name))


async def _find(caller: Caller) -> Response:
    """List accounts, or those that a filter selects by userName, externalId or address."""
    start, count = window()
    text = request.args.get("filter", "")
    async with caller.services.pool.acquire() as connection:
        if not text:
            total, rows = await provisioning.page(connection, start - 1, count)
            return answer(listed([resource_of(row, caller.base) for row in rows], total, start))
        found = await _filtered(connection, paths.parse_filter(text), caller.base)
    return answer(listed(found[start - 1 :][:count], len(found), start))


async def _filtered(connection: Connection, wanted_all: tuple[paths.Comparison, ...], base: str) -> list[Resource]:
    """Return the matching resources. One comparison must be an `eq` of an indexed attribute; raises ScimError."""
    finders = {
        "id": lambda value: _by_id(connection, value),
        "username": lambda value: provisioning.named(connection, value),
        "externalid": lambda value: provisioning.with_external_id(connection, value),
        "emails": lambda value: provisioning.with_email(connection, value),
    }
    for comparison in wanted_all:
        name = paths.parse_path(comparison.path).name.lower()
        if comparison.operator == "eq" and name in finders and isinstance(comparison.value, str):
            rows = await finders[name](comparison.value.replace("\x00", ""))
            others = [one for one in wanted_all if one is not comparison]
            resources = [resource_of(row, base) for row in rows]
            return [one for one in resources if all(fits(other, one) for other in others)]
    raise invalid("A filter must compare userName, externalId, emails or id with eq.", "invalidFilter")


async def _by_id(connection: Connection, user: str) -> list[ProvisionedRow]:
    row = await provisioning.by_id(connection, user)
    return [] if row is None else [row]


async def _get(caller: Caller, user: str) -> Response:
    async with caller.services.pool.acquire() as connection:
        return answer(resource_of(await _existing(connection, user), caller.base))


async def _create(caller: Caller) -> Response:
    """Create an account without a password; its user signs in at the provider, or by a link that is mailed."""
    asked = wanted(await read_body())
    async with caller.services.pool.acquire() as connection, connection.transaction():
        if await provisioning.named(connection, asked.user_name):
            raise ScimError(409, "Another account already has this userName.", "uniqueness")
        if asked.email is not None:
            await users.check_free(connection, asked.email)
        made = await identities.create_user(connection, asked.username, asked.display_name, asked.email)
        await _keep(connection, made.id, asked)
        if asked.role == "admin":
            await users.administer(connection, made.id, role="admin")
        if not asked.active:
            await users.set_state(connection, made.id, "banned")
        await outbox.append_for_user(connection, made.id, "user.registered", {"user": made.id})
        about = {"active": asked.active, "role": asked.role or "user"}
        await audit.write(connection, caller.actor, "provision_user", made.id, caller.address, **about)
        resource = resource_of(await _existing(connection, made.id), caller.base)
    response = answer(resource, 201)
    response.headers["Location"] = resource["meta"]["location"]
    return response


async def _replace(caller: Caller, user: str) -> Response:
    asked = await read_body()
    return await _change(caller, user, lambda _: asked)


async def _patch(caller: Caller, user: str) -> Response:
    asked = await read_body()

    def change(resource: Resource) -> Resource:
        changed = patched(resource, asked)
        # A PUT without roles leaves the role, but here they were there, and have been removed.
        return changed if paths.get(changed, "roles") is not None else {"roles": []} | changed

    return await _change(caller, user, change)


async def _change(caller: Caller, user: str, change: Callable[[Resource], Any]) -> Response:
    """Change an account; deactivation signs it out everywhere and removes it from its rooms."""
    left: list[DesiredState | None] = []
    async with caller.services.pool.acquire() as connection, connection.transaction():
        before = await _existing(connection, user)
        asked = wanted(change(resource_of(before, caller.base)))
        loses_admin = before.role == "admin" and (not asked.active or asked.role == "user")
        if loses_admin and await users.active_admins(connection) == [user]:
            raise ScimError(409, "This is the last administrator.")
        if asked.email != before.email:
            await _set_email(connection, user, asked.email)
        await users.administer(connection, user, display_name=asked.display_name, role=asked.role)
        if not asked.active and before.state == "active":
            left = await remove_from_rooms(connection, user)
        if asked.active != (before.state == "active"):
            await users.set_state(connection, user, "active" if asked.active else "banned")
        await _keep(connection, user, asked)
        about = {"active": asked.active, "role": asked.role or before.role}
        await audit.write(connection, caller.actor, "provision_user", user, caller.address, **about)
        resource = resource_of(await _existing(connection, user), caller.base)
    caller.services.nodes.push(*left)
    return answer(resource)


async def _set_email(connection: Connection, user: str, email: str | None) -> None:
    if email is None:
        await users.drop_email(connection, user)
        return
    await users.check_free(connection, email, user=user)
    await users.take_email(connection, user, email)


async def _keep(connection: Connection, user: str, asked: Wanted) -> None:
    try:
        async with connection.transaction():
            await provisioning.keep(connection, user, asked.user_name, asked.external_id, asked.attributes)
    except asyncpg.UniqueViolationError as error:
        raise ScimError(409, "Another account has this userName.", "uniqueness") from error


async def _delete(caller: Caller, user: str) -> Response:
    """Delete an account and everything it owns."""
    async with caller.services.pool.acquire() as connection:
        await _existing(connection, user)
    await removal.delete_account(caller.services, user)
    async with caller.services.pool.acquire() as connection:
        await audit.write(connection, caller.actor, "delete_user", user, caller.address)
    return Response(b"", 204)


async def _existing(connection: Connection, user: str) -> ProvisionedRow:
    row = await provisioning.by_id(connection, user.replace("\x00", ""))
    if row is None:
        raise absent()
    return row
