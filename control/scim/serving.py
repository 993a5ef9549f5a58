"""Parts that the routes of SCIM share: admission, bodies, lists and answers."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from quart import Quart, Request, Response, request

from control.auth import access as rules
from control.auth.principal import authenticate
from control.endpoint import client_address, read_limited
from control.http.limits import network
from control.problem import Problem
from control.scim import paths
from control.scim.discovery import MAX_RESULTS
from control.scim.errors import ScimError, invalid
from control.services import Services

PREFIX = "/scim/v2"
SCOPE = "provisioning:write"
TYPE = "application/scim+json"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_MAX_BODY = 64 * 1024
Resource = dict[str, Any]


class Caller:
    """An authorized request."""

    def __init__(self, services: Services, actor: str, address: str) -> None:
        self.services = services
        self.actor = actor
        self.address = address
        self.base = f"{services.config.link_origin}{PREFIX}"


Handler = Callable[..., Awaitable[Response]]


def add_route(app: Quart, services: Services, method: str, path: str, handler: Handler) -> None:
    """Add a route below SCIM's path; the handler gets the caller, and the values in the path by name."""

    async def view(**values: str) -> Response:
        incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
        return await _serve(services, incoming, handler, values)

    app.add_url_rule(f"{PREFIX}{path}", f"scim {method} {path}", view, methods=[method])


async def _serve(services: Services, incoming: Request, handler: Handler, values: dict[str, str]) -> Response:
    try:
        return await handler(await _admit(services, incoming), **values)
    except ScimError as error:
        return answer(error.body, error.status)
    except RecursionError:
        return answer(invalid("The body is nested too deeply.", "invalidSyntax").body, 400)
    except Problem as problem:
        kind = "uniqueness" if problem.code == "account_exists" else ""
        response = answer(ScimError(problem.status, problem.detail, kind).body, problem.status)
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


def entry_with_id(entries: list[Resource], wanted_id: str) -> Resource:
    found = next((entry for entry in entries if entry["id"] == wanted_id), None)
    if found is None:
        raise absent()
    return found


def fits(comparison: paths.Comparison, resource: Resource) -> bool:
    path = paths.parse_path(comparison.path)
    value = paths.get(resource, path.name)
    entries = value if isinstance(value, list) else [value]
    entries = [one for one in entries if all(paths.holds(selected, one) for selected in path.selected)]
    leaves = [paths.get(one, path.sub or "value") if isinstance(one, dict) else one for one in entries]
    return any(paths.compare(comparison, leaf) for leaf in leaves)


def absent() -> ScimError:
    return ScimError(404, "There is no such resource.")


async def read_body(limit: int = _MAX_BODY) -> Any:
    if request.mimetype not in (TYPE, "application/json"):
        raise ScimError(415, f"The body must be {TYPE}.")
    data = await read_limited(request._get_current_object(), limit)  # type: ignore[attr-defined]
    if b"\\u0000" in data:
        raise invalid("Text must not contain NUL characters.", "invalidSyntax")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("The body is not JSON.", "invalidSyntax") from error


def window() -> tuple[int, int]:
    """Return the request's startIndex and count."""
    return max(1, _number("startIndex", 1)), min(max(0, _number("count", 100)), MAX_RESULTS)


def _number(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    try:
        return min(int(text), 2**31)
    except ValueError as error:
        raise invalid(f"{name} must be a number.") from error


def listed(entries: list[Resource], total: int | None = None, start: int = 1) -> Resource:
    return {
        "schemas": [_LIST],
        "totalResults": len(entries) if total is None else total,
        "startIndex": start,
        "itemsPerPage": len(entries),
        "Resources": entries,
    }


def answer(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, content_type=TYPE)
