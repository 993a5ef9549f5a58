"""Routes of SCIM (`/scim/v2/…`), for API keys of administrators with the scope `provisioning:write`."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec
from quart import Quart, Request, Response, request

from control import removal
from control.auth import access as rules
from control.auth.principal import authenticate
from control.database import Connection
from control.endpoint import client_address, read_limited
from control.http.limits import network
from control.meetings.accounts import remove_from_rooms
from control.problem import Problem
from control.scim import discovery, paths
from control.scim.errors import ScimError, invalid
from control.scim.patches import patched
from control.scim.users import Resource, Wanted, resource_of, wanted
from control.services import Services
from control.store import audit, identities, outbox, provisioning, users
from control.store.provisioning import ProvisionedRow
from sfu.api.desired_state import DesiredState

PREFIX = "/scim/v2"
SCOPE = "provisioning:write"
_TYPE = "application/scim+json"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_MAX_BODY = 64 * 1024


class Caller:
    """An authorized request."""

    def __init__(self, services: Services, actor: str, address: str) -> None:
        self.services = services
        self.actor = actor
        self.address = address
        self.base = f"{services.config.link_origin}{PREFIX}"


Handler = Callable[..., Awaitable[Response]]


def install(app: Quart, services: Services) -> None:
    """Add the routes."""

    def route(method: str, path: str, handler: Handler) -> None:
        async def view(**values: str) -> Response:
            incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
            return await _serve(services, incoming, handler, values)

        app.add_url_rule(f"{PREFIX}{path}", f"scim {method} {path}", view, methods=[method])

    for path, describe in (
        ("/ServiceProviderConfig", discovery.service_provider_config),
        ("/ResourceTypes", lambda base: _listed(discovery.resource_types(base))),
        ("/Schemas", lambda base: _listed(discovery.schemas(base))),
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
    app.after_request(_in_scim_form)


async def _in_scim_form(response: Response) -> Response:
    """Convert errors that no handler here has made: unknown paths and methods, and failures."""
    if request.path.startswith(f"{PREFIX}/") and response.mimetype == "application/problem+json":
        told = msgspec.json.decode(await response.get_data())
        response.set_data(msgspec.json.encode(ScimError(response.status_code, told["detail"]).body))
        response.content_type = _TYPE
    return response


async def _serve(services: Services, incoming: Request, handler: Handler, values: dict[str, str]) -> Response:
    try:
        return await handler(await _admit(services, incoming), **values)
    except ScimError as error:
        return _answer(error.body, error.status)
    except RecursionError:
        return _answer(invalid("The body is nested too deeply.", "invalidSyntax").body, 400)
    except Problem as problem:
        kind = "uniqueness" if problem.code == "account_exists" else ""
        response = _answer(ScimError(problem.status, problem.detail, kind).body, problem.status)
        response.headers.update(problem.headers)
        return response


async def _admit(services: Services, incoming: Request) -> Caller:
    """Authenticate and authorize a request, and count it against the rate limits; raises Problem."""
    address = client_address(services, incoming)
    party, limits = network(address), services.limits
    limits.check_requests(party, services.config.limits.address_requests)
    try:
        principal = await authenticate(services, incoming)
        if principal is None or principal.via != "key" or principal.user is None:
            raise rules.sign_in_required()
        rules.check_scope(SCOPE, principal)
        if principal.user.role != "admin":
            raise Problem(403, "forbidden", "Only administrators may provision accounts.")
    except Problem:
        limits.request(party, services.config.limits.address_requests)
        raise
    limits.request(principal.user.user, services.config.limits.account_requests)
    return Caller(services, principal.user.user, address)


def _describing(describe: Callable[[str], Any]) -> Handler:
    async def handle(caller: Caller) -> Response:
        return _answer(describe(caller.base))

    return handle


async def _get_schema(caller: Caller, urn: str) -> Response:
    return _answer(_one(discovery.schemas(caller.base), urn))


async def _get_resource_type(caller: Caller, name: str) -> Response:
    return _answer(_one(discovery.resource_types(caller.base), name))


def _one(entries: list[Resource], wanted_id: str) -> Resource:
    found = next((entry for entry in entries if entry["id"] == wanted_id), None)
    if found is None:
        raise _absent()
    return found


async def _find(caller: Caller) -> Response:
    """List accounts, or those that a filter selects by userName, externalId or address."""
    start, count = max(1, _number("startIndex", 1)), min(max(0, _number("count", 100)), discovery.MAX_RESULTS)
    text = request.args.get("filter", "")
    async with caller.services.pool.acquire() as connection:
        if not text:
            total, rows = await provisioning.page(connection, start - 1, count)
            return _answer(_listed([resource_of(row, caller.base) for row in rows], total, start))
        found = await _filtered(connection, paths.parse_filter(text), caller.base)
    return _answer(_listed(found[start - 1 :][:count], len(found), start))


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
            return [one for one in resources if all(_fits(other, one) for other in others)]
    raise invalid("A filter must compare userName, externalId, emails or id with eq.", "invalidFilter")


async def _by_id(connection: Connection, user: str) -> list[ProvisionedRow]:
    row = await provisioning.by_id(connection, user)
    return [] if row is None else [row]


def _fits(comparison: paths.Comparison, resource: Resource) -> bool:
    path = paths.parse_path(comparison.path)
    value = paths.get(resource, path.name)
    entries = value if isinstance(value, list) else [value]
    entries = [one for one in entries if all(paths.holds(selected, one) for selected in path.selected)]
    leaves = [paths.get(one, path.sub or "value") if isinstance(one, dict) else one for one in entries]
    return any(paths.compare(comparison, leaf) for leaf in leaves)


async def _get(caller: Caller, user: str) -> Response:
    async with caller.services.pool.acquire() as connection:
        return _answer(resource_of(await _existing(connection, user), caller.base))


async def _create(caller: Caller) -> Response:
    """Create an account without a password; its user signs in at the provider, or by a link that is mailed."""
    asked = wanted(await _body())
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
    response = _answer(resource, 201)
    response.headers["Location"] = resource["meta"]["location"]
    return response


async def _replace(caller: Caller, user: str) -> Response:
    asked = await _body()
    return await _change(caller, user, lambda _: asked)


async def _patch(caller: Caller, user: str) -> Response:
    asked = await _body()

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
    return _answer(resource)


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
        raise _absent()
    return row


def _absent() -> ScimError:
    return ScimError(404, "There is no such resource.")


async def _body() -> Any:
    if request.mimetype not in (_TYPE, "application/json"):
        raise ScimError(415, f"The body must be {_TYPE}.")
    data = await read_limited(request._get_current_object(), _MAX_BODY)  # type: ignore[attr-defined]
    if b"\\u0000" in data:
        raise invalid("Text must not contain NUL characters.", "invalidSyntax")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("The body is not JSON.", "invalidSyntax") from error


def _number(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    try:
        return min(int(text), 2**31)
    except ValueError as error:
        raise invalid(f"{name} must be a number.") from error


def _listed(entries: list[Resource], total: int | None = None, start: int = 1) -> Resource:
    return {
        "schemas": [_LIST],
        "totalResults": len(entries) if total is None else total,
        "startIndex": start,
        "itemsPerPage": len(entries),
        "Resources": entries,
    }


def _answer(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, content_type=_TYPE)
