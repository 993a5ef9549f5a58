"""Single sign-on: the browser is sent to an identity provider and returns signed in."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from quart import Response

from control.api.signing_in import open_session
from control.auth import cookies, devices
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identity import oidc
from control.identity.oidc import OidcClient
from control.problem import Problem, forbidden, not_found
from control.store import audit, identities, sessions, users
from control.store.users import UserRow

endpoints = Endpoints("accounts")
_SECONDS = 600


class StartQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`return_to` is the path of the page to return to; `prove` renews the proof of identity."""

    return_to: str = "/"
    prove: bool = False


class CallbackQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the provider's callback; others are ignored."""

    state: str = ""
    code: str | None = None
    error: str | None = None


@endpoints.route(
    "GET", "/api/v1/auth/oidc/<provider>/start", Access.PUBLIC, query=StartQuery, status=302, content_type="text/html"
)
async def start_single_sign_on(call: Call, provider: str, query: StartQuery) -> Response:
    """Send the browser to the identity provider."""
    await call.services.limits.spend("oidc", call.network, call.services.config.limits.arrivals, 900)
    attempt = oidc.new_attempt(provider, _own_path(query.return_to))
    max_age = sessions.PROOF_SECONDS if query.prove else None
    location = await _client(call, provider).authorization_url(attempt, max_age)
    response = Response("", 302, {"Location": location, "Cache-Control": "no-store"})
    _set_attempt(call, response, call.services.tokens.attempt(attempt), _SECONDS)
    return response


@endpoints.route(
    "GET",
    "/api/v1/auth/oidc/<provider>/callback",
    Access.PUBLIC,
    query=CallbackQuery,
    status=302,
    content_type="text/html",
)
async def finish_single_sign_on(call: Call, provider: str, query: CallbackQuery) -> Response:
    """Handle the callback of the provider, sign the browser in, and send it back to the page it came from."""
    client = _client(call, provider)
    attempt = call.services.tokens.read_attempt(call.request.cookies.get(_cookie(call), ""))
    if attempt is None or attempt.provider != provider or attempt.state != query.state:
        raise Problem(403, "oidc_state", "This sign-in was not started here or took too long. Try again.")
    if query.code is None:
        raise Problem(403, "oidc_refused", "The identity provider did not sign you in.")
    claims = await client.claims(attempt, query.code)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await _account(connection, client, claims)
        session = await open_session(call, connection, user, strong=True, proved_at=_signed_in_at(claims))
        await audit.write(connection, user.id, "oidc_login", user.id, call.address, provider=provider)
    response = Response("", 302, {"Location": attempt.return_to, "Cache-Control": "no-store"})
    tokens = call.services.tokens
    names = cookies.names(call.request, call.services.config.cookie_security)
    cookies.set_session(response, names, tokens.access(user.id, session, user.epoch), tokens.refresh(session, 1))
    devices.remember(call.services, call.request, response, user.id)
    _set_attempt(call, response, "", 0)
    return response


async def _account(connection: Connection, client: OidcClient, claims: dict[str, Any]) -> UserRow:
    """Return the account of an identity, created or linked if it is new; raises Problem 403 if it may not sign in."""
    provider = client.provider
    groups = claims.get(provider.groups_claim, [])
    member_of = {group for group in groups if isinstance(group, str)} if isinstance(groups, list) else set()
    if provider.allowed_groups and not member_of & set(provider.allowed_groups):
        raise forbidden("Your account at the identity provider is not in a group that may use this server.")
    issuer, subject = provider.issuer, str(claims["sub"])
    user = await identities.user_of(connection, issuer, subject)
    if user is None:
        email = claims.get("email") if claims.get("email_verified") is True else None
        address = email if isinstance(email, str) and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) else None
        user = await identities.user_with_confirmed_email(connection, address) if address else None
        if user is None:
            name, display = _names(claims, address, subject)
            user = await identities.create_user(connection, name, display, address)
        await identities.link(connection, issuer, subject, user.id)
    if user.state == "banned":
        raise Problem(403, "banned", "This account is banned.")
    if provider.admin_group is not None:
        role: users.UserRole = "admin" if provider.admin_group in member_of else "user"
        user = await identities.set_role(connection, user.id, role) or user
    return user


def _signed_in_at(claims: dict[str, Any]) -> datetime | None:
    """Return the time at which the provider authenticated the person, or None if it does not say."""
    at = claims.get("auth_time")
    try:
        return datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _names(claims: dict[str, Any], email: str | None, subject: str) -> tuple[str, str]:
    """Return a user name in the allowed alphabet, and the display name."""
    given = str(claims.get("preferred_username") or email or subject).partition("@")[0]
    name = re.sub(r"[^\w.+-]+", "-", given).strip("-")[:64]
    display = claims.get("name")
    return (name if len(name) > 1 else f"user-{name}"), (display if isinstance(display, str) and display else name)[
        :200
    ]


def _client(call: Call, name: str) -> OidcClient:
    client = call.services.oidc.get(name)
    if client is None:
        raise not_found("There is no such identity provider.")
    return client


def _own_path(path: str) -> str:
    """Return `path` if it leads to a page of this server: one slash, and nothing that browsers take for a host."""
    if re.fullmatch(r"/(?![/\\])[^\s\\]*", path) and len(path) <= 500:
        return path
    return "/"


def _cookie(call: Call) -> str:
    names = cookies.names(call.request, call.services.config.cookie_security)
    return "__Host-parley-oidc" if names.secure else "parley-oidc"


def _set_attempt(call: Call, response: Response, value: str, max_age: int) -> None:
    secure = _cookie(call).startswith("__Host-")
    response.set_cookie(_cookie(call), value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="Lax")
