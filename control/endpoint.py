"""Endpoints: one declaration gives a route its types, its access and its place in the OpenAPI document.

A handler takes a `Call`, the path's values, and `body` and `query` if declared. It returns a Struct or a Response.
msgspec decodes requests strictly, straight from their bytes. quart-schema is not used: it goes through Python dicts,
converts leniently, and loses msgspec's nested types in the document.
"""

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from quart import Quart, Request, Response, request

from control import idempotency
from control.auth import access as rules
from control.auth.access import Access, Standing
from control.auth.principal import SAFE_METHODS, Principal, authenticate, check_origin, claimed_subject
from control.http import entity_tags
from control.http.limits import Allowance, network
from control.problem import Problem
from control.services import Services
from control.store.sessions import LiveSession

Handler = Callable[..., Awaitable[Any]]
Declared = TypeVar("Declared", bound=Handler)
_MAX_BODY = 256 * 1024
_BODY_TYPES = frozenset({"application/json"})
_PATCH_TYPES = _BODY_TYPES | {"application/merge-patch+json"}
_log = logging.getLogger(__name__)
_TOLD_REFUSALS = frozenset(
    {
        "admission_token", "banned", "denied", "email_unconfirmed", "full", "invitation", "link", "lobby_ticket",
        "locked", "oidc_refused", "oidc_state", "oidc_token", "passkey", "refresh_reused", "registration_closed",
        "registration_domain", "rejoin_secret", "removed", "setup_token", "wrong_code", "wrong_credentials",
        "wrong_link_code", "wrong_link_passcode", "wrong_passcode", "bad_token",
    }
)  # fmt: skip
"""Refusals to log: somebody is guessing, or cannot get in and will ask why."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the caller, its address, and the meeting concerned."""

    services: Services
    request: Request
    principal: Principal | None
    address: str
    about: Standing | None

    @property
    def user(self) -> LiveSession:
        """The caller's account; only on routes that require one."""
        assert self.principal is not None and self.principal.user is not None
        return self.principal.user

    @property
    def standing(self) -> Standing:
        """The meeting concerned and the caller's role; only on routes of a meeting or recording."""
        assert self.about is not None
        return self.about

    @property
    def network(self) -> str:
        """The caller's address as rate limits count it (`limits.network`)."""
        return network(self.address)

    @property
    def region(self) -> str:
        """The caller's region as reported by the gateway, by default this server's."""
        config = self.services.config
        told = self.request.headers.get(config.region_header, "") if config.region_header else ""
        return told or config.region

    def identify(self, subject: str) -> None:
        """Count the request against `subject`, proved by a secret in the body, instead of against its address.

        Raises Problem 429 if `subject` makes too many requests.
        """
        if not self.actor:
            self.services.limits.take_back(self.network)
            self.services.limits.request(subject, self.services.config.limits.account_requests)

    @property
    def actor(self) -> str:
        """The id of the caller's account or participant, for logs and rows."""
        if self.principal is None:
            return ""
        if self.principal.user is not None:
            return self.principal.user.user
        assert self.principal.guest is not None
        return self.principal.guest.participant


def with_standing(call: Call, standing: Standing) -> Call:
    """Return the call for a meeting that is named in the body instead of the path."""
    return replace(call, about=standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A declared route."""

    method: str
    rule: str
    access: Access
    handler: Handler
    operation: str
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None
    query: type[msgspec.Struct] | None
    status: int
    tag: str
    content_type: str
    scope: str | None
    others: dict[int, type[msgspec.Struct]]
    redirects: bool
    proof: bool
    limited: bool
    takes_file: bool


class Endpoints:
    """The routes of one area; `tag` groups them in the document.

    API keys may call them with the scope `{scope}:read` or `{scope}:write`. Without a scope, API keys are refused.
    """

    def __init__(self, tag: str, scope: str | None = None) -> None:
        self._tag = tag
        self._scope = scope
        self.declared: list[Endpoint] = []

    def route(
        self,
        method: str,
        rule: str,
        access: Access,
        *,
        answer: type[msgspec.Struct] | None = None,
        body: type[msgspec.Struct] | None = None,
        query: type[msgspec.Struct] | None = None,
        status: int = 200,
        content_type: str = "application/json",
        others: dict[int, type[msgspec.Struct]] | None = None,
        redirects: bool = False,
        proof: bool = False,
        limited: bool = True,
        takes_file: bool = False,
    ) -> Callable[[Declared], Declared]:
        """Declare the decorated handler.

        `content_type` is for a response that is not a Struct. `others` are responses with other statuses; `redirects`
        allows a 302. `proof` requires a session whose user proved their identity in the last minutes. `limited`
        requests count toward the general limits. With `takes_file`, the body is the file itself.
        """

        def declare(handler: Declared) -> Declared:
            self.declared.append(
                Endpoint(
                    method=method,
                    rule=rule,
                    access=access,
                    handler=handler,
                    operation=handler.__name__,
                    answer=answer,
                    body=body,
                    query=query,
                    status=status,
                    tag=self._tag,
                    content_type=content_type,
                    scope=self._scope_of(method),
                    others=others or {},
                    redirects=redirects,
                    proof=proof,
                    limited=limited,
                    takes_file=takes_file,
                )
            )
            return handler

        return declare

    def of(self, handler: Handler) -> Endpoint:
        """Return the endpoint declared for `handler`."""
        return next(one for one in self.declared if one.handler is handler)

    def alias(self, endpoint: Endpoint, method: str, rule: str, operation: str) -> None:
        """Declare another path of an endpoint, with its own operation id."""
        scope = self._scope_of(method)
        self.declared.append(
            replace(endpoint, method=method, rule=rule, operation=operation, tag=self._tag, scope=scope)
        )

    def _scope_of(self, method: str) -> str | None:
        if self._scope is None:
            return None
        return f"{self._scope}:{'read' if method in SAFE_METHODS else 'write'}"


def install(app: Quart, services: Services, endpoints: list[Endpoint]) -> None:
    """Add the endpoints to the application."""
    for endpoint in endpoints:
        view = functools.partial(_serve, services, endpoint)
        name = f"{endpoint.method} {endpoint.rule}".replace(".", "_")
        app.add_url_rule(endpoint.rule, name, view, methods=[endpoint.method])


async def _serve(services: Services, endpoint: Endpoint, **path: Any) -> Response:
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
    try:
        return await _respond(services, endpoint, incoming, path)
    except Problem as problem:
        if problem.code in _TOLD_REFUSALS or problem.status == 429:
            about = {"meeting": str(path.get("meeting", "")), "recording": str(path.get("recording", ""))}
            address = client_address(services, incoming)
            _log.info("refused %s %s: %s, from %s", endpoint.method, endpoint.rule, problem.code, address, extra=about)
        raise


async def _respond(services: Services, endpoint: Endpoint, incoming: Request, path: dict[str, Any]) -> Response:
    call, allowance = await _admit_within_limit(services, endpoint, incoming, path)
    user = None if call.principal is None else call.principal.user
    if endpoint.method == "POST" and user is not None and idempotency.HEADER in incoming.headers:
        response = await idempotency.once(services, incoming, user.user, lambda: _handle(call, endpoint, path))
    else:
        response = await _handle(call, endpoint, path)
    if allowance is not None:
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(allowance.remaining)
        response.headers["RateLimit-Reset"] = str(allowance.reset)
    return response


async def _admit_within_limit(
    services: Services, endpoint: Endpoint, incoming: Request, path: dict[str, Any]
) -> tuple[Call, Allowance | None]:
    """Admit a request and count it, refused or not. A caller over its limit is refused before any query."""
    if not endpoint.limited:
        return await _admit(services, endpoint, incoming, path), None
    claimed = None if endpoint.access is Access.PUBLIC else claimed_subject(services, incoming)
    subject, limit = _counted(services, claimed or "", network(client_address(services, incoming)))
    services.limits.check_requests(subject, limit)
    try:
        call = await _admit(services, endpoint, incoming, path)
    except Problem:
        services.limits.request(subject, limit)
        raise
    return call, services.limits.request(*_counted(services, call.actor, call.network))


def _counted(services: Services, actor: str, party: str) -> tuple[str, int]:
    """Return the subject that a request counts against, and its limit per minute."""
    limits = services.config.limits
    return (actor, limits.account_requests) if actor else (party, limits.address_requests)


async def _handle(call: Call, endpoint: Endpoint, path: dict[str, Any]) -> Response:
    values: dict[str, Any] = dict(path)
    if endpoint.query is not None:
        values["query"] = _query(call.request, endpoint.query)
    if endpoint.body is not None:
        values["body"] = await _body(call.request, endpoint.body)
    if endpoint.takes_file and call.request.mimetype.startswith("multipart/"):
        raise Problem(415, "file_expected", "The body must be the file itself, not a form that contains it.")
    result = await endpoint.handler(call, **values)
    if isinstance(result, Response):
        return result
    if endpoint.method == "GET":
        return entity_tags.conditional(call.request, result, endpoint.status)
    return answer(result, endpoint.status)


def answer(result: msgspec.Struct, status: int = 200) -> Response:
    """Return a Struct as a JSON response that must not be cached."""
    return Response(msgspec.json.encode(result), status, {"Cache-Control": "no-store"}, content_type="application/json")


async def _admit(services: Services, endpoint: Endpoint, incoming: Request, path: dict[str, Any]) -> Call:
    """Authenticate and authorize; raises Problem."""
    address = client_address(services, incoming)
    if any("\x00" in value for value in path.values() if isinstance(value, str)):
        raise Problem(400, "invalid_request", "The path contains a NUL character.")
    if endpoint.method not in SAFE_METHODS:
        check_origin(services, incoming, required=False)
    if endpoint.access is Access.PUBLIC:
        return Call(services, incoming, None, address, None)
    principal = await authenticate(services, incoming)
    rules.check_scope(endpoint.scope, principal)
    rules.check_second_factor(services.config, endpoint.rule, principal)
    about = None
    if endpoint.access in rules.IN_MEETING:
        async with services.pool.acquire() as connection:
            about = await rules.in_meeting(connection, endpoint.access, principal, path["meeting"])
    elif endpoint.access is Access.RECORDING:
        async with services.pool.acquire() as connection:
            about = await rules.of_recording(connection, principal, path["recording"])
    elif endpoint.access is not Access.ANYONE:
        rules.check_account(endpoint.access, principal)
    if endpoint.proof:
        rules.check_proof(principal)
    return Call(services, incoming, principal, address, about)


def client_address(services: Services, incoming: Request) -> str:
    """Return the address that a request came from; X-Forwarded-For counts only from a trusted proxy."""
    scope = incoming.scope
    client = (scope.get("client") if scope is not None else None) or ("", 0)
    address = str(client[0])
    if services.config.is_gateway(address):
        forwarded = incoming.headers.get("X-Forwarded-For", "").split(",")
        return forwarded[-1].strip() or address
    return address


async def read_limited(incoming: Request, most: int) -> bytes:
    """Return the body; raises Problem 413 if it has more than `most` bytes."""
    if (incoming.content_length or 0) <= most:
        data = await incoming.get_data(cache=True, as_text=False, parse_form_data=False)
        if len(data) <= most:
            return data
    raise Problem(413, "too_large", f"The body must not exceed {most} bytes.")


async def _body(incoming: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    if incoming.mimetype not in (_PATCH_TYPES if incoming.method == "PATCH" else _BODY_TYPES):
        raise Problem(415, "json_expected", "The body must be application/json.")
    data = await read_limited(incoming, _MAX_BODY)
    if b"\\u0000" in data:
        raise Problem(400, "invalid_request", "Text must not contain NUL characters.")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_request", str(error)) from error


def _query(incoming: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    values = incoming.args.to_dict() if incoming.query_string else {}
    if any("\x00" in value for value in values.values()):
        raise Problem(400, "invalid_request", "The query contains a NUL character.")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, "invalid_request", str(error)) from error
