"""Authentication by cookies or `Authorization: Bearer`, never both, and CSRF protection for cookies."""

from dataclasses import dataclass
from typing import Literal

from quart import Request

from control.auth import cookies, cross_origin, origins
from control.identity.tokens import GuestPass
from control.problem import Problem
from control.services import Services
from control.store import api_keys, sessions
from control.store.sessions import LiveSession

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """An account, or a guest of one meeting. Exactly one of `user` and `guest` is set.

    With an API key, `scopes` are the key's and the session is the key's id. Otherwise, `scopes` is None: all.
    """

    via: Literal["cookie", "bearer", "key"]
    user: LiveSession | None = None
    guest: GuestPass | None = None
    scopes: frozenset[str] | None = None


async def authenticate(services: Services, request: Request) -> Principal | None:
    """Return the caller, or None if it has no credentials.

    Raises Problem 400 for a cookie together with a bearer token, 401 for an invalid bearer token, 403 for a cookie
    without its CSRF token or from another origin. An invalid cookie counts as no credentials, since browsers keep
    sending it.
    """
    cookie = None
    if "Cookie" in request.headers:
        cookie = request.cookies.get(cookies.names(request, services.config.cookie_security).access)
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        if cookie:
            raise Problem(400, "ambiguous_credentials", "Send either the session cookie or Authorization, not both.")
        return await _bearer(services, authorization)
    if not cookie:
        return None
    principal = await _session(services, cookie, "cookie")
    if principal is not None and request.method not in SAFE_METHODS:
        _check_csrf(services, request, principal)
    return principal


def claimed_subject(services: Services, request: Request) -> str | None:
    """Return the account or guest that a token names, or None without a token. Does not query the database.

    Limits use it to count refused requests too. An API key names nobody until it is looked up.
    """
    token = request.headers.get("Authorization", "").partition(" ")[2].strip()
    if not token and "Cookie" in request.headers:
        token = request.cookies.get(cookies.names(request, services.config.cookie_security).access, "")
    if not token or token.startswith(api_keys.PREFIX):
        return None
    access = services.tokens.read_access(token)
    if access is not None:
        return access.user
    guest = services.tokens.read_participant(token)
    return None if guest is None else guest.participant


def check_origin(services: Services, request: Request, required: bool) -> None:
    """Raise Problem 403 if a browser's Origin is foreign, or absent though `required`.

    A listed origin (CORS) counts as ours for a request without cookies.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        if required:
            raise Problem(403, "origin_required", "A request with cookies must have an Origin header.")
        return
    if cross_origin.is_listed(services.config, request) and "Cookie" not in request.headers:
        return
    if not origins.is_allowed(origin, request.host, request.scheme, services.config.public_origins):
        raise Problem(403, "foreign_origin", "Requests from this origin are not accepted.")


async def _bearer(services: Services, authorization: str) -> Principal:
    kind, _, token = authorization.partition(" ")
    token = token.strip()
    if kind.lower() == "bearer" and token.startswith(api_keys.PREFIX):
        principal = await _key(services, token)
        if principal is not None:
            return principal
    elif kind.lower() == "bearer" and token:
        principal = await _session(services, token, "bearer")
        if principal is not None:
            return principal
        guest = services.tokens.read_participant(token)
        if guest is not None:
            return Principal("bearer", guest=guest)
    raise Problem(
        401, "invalid_token", "The token is invalid or has expired.", {"WWW-Authenticate": 'Bearer realm="parley"'}
    )


async def _key(services: Services, secret: str) -> Principal | None:
    async with services.pool.acquire() as connection:
        holder = await api_keys.holder(connection, secret)
    if holder is None:
        return None
    user = LiveSession(
        session=holder.key,
        user=holder.user,
        username=holder.username,
        display_name=holder.display_name,
        role=holder.role,
        epoch=holder.epoch,
        strong=True,
        proved=False,
    )
    return Principal("key", user=user, scopes=frozenset(holder.scopes))


async def _session(services: Services, token: str, via: Literal["cookie", "bearer"]) -> Principal | None:
    access = services.tokens.read_access(token)
    if access is None:
        return None
    async with services.pool.acquire() as connection:
        live = await sessions.live(connection, access.session)
    if live is None or live.user != access.user or live.epoch != access.epoch:
        return None
    return Principal(via, user=live)


def _check_csrf(services: Services, request: Request, principal: Principal) -> None:
    check_origin(services, request, required=True)
    assert principal.user is not None
    given = request.headers.get("X-CSRF-Token", "")
    if not services.tokens.csrf_matches(principal.user.session, given):
        raise Problem(403, "csrf", "X-CSRF-Token is missing or belongs to another session.")
