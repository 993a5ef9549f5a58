"""Completion of every sign-in: a session, its tokens and its cookies."""

from datetime import datetime
from typing import Literal

from quart import Response

from control.api.sign_in_types import SignedIn, User
from control.auth import cookies, devices
from control.database import Connection
from control.endpoint import Call, answer
from control.identity.tokens import ACCESS_SECONDS
from control.jobs import notification_texts
from control.problem import Problem
from control.store import notifications, sessions, users
from control.store.users import UserRow

Mode = Literal["cookie", "token"]


def public_user(user: UserRow, email_pending: str | None = None) -> User:
    return User.from_row(user, email_verified=user.email_verified_at is not None, email_pending=email_pending)


def check_may_sign_in(user: UserRow) -> None:
    """Raise Problem 403 for accounts that are banned, or whose address must be confirmed first."""
    if user.state == "banned":
        raise Problem(403, "banned", "This account is banned.")
    if user.must_confirm:
        raise Problem(403, "email_unconfirmed", "Confirm your address first, with the link that was mailed to you.")


async def sign_in(
    call: Call, connection: Connection, user: UserRow, mode: Mode, status: int = 200, *, strong: bool = False
) -> Response:
    """Open a session, `strong` if a second factor was used. Raises Problem 403 if the account may not sign in."""
    check_may_sign_in(user)
    session = await open_session(call, connection, user, strong=strong)
    response = signed_in(call, user, session, 1, mode=mode, status=status, strong=strong)
    if mode == "cookie":
        devices.remember(call.services, call.request, response, user.id)
    return response


async def open_session(
    call: Call, connection: Connection, user: UserRow, *, strong: bool, proved_at: datetime | None = None
) -> str:
    """Open a session of the request's browser, and return its id. The account is told of a new device."""
    agent = call.request.headers.get("User-Agent", "")
    await _tell_of_device(call, connection, user.id, agent)
    session = await sessions.create(
        connection, user.id, user.epoch, agent, call.address, strong=strong, proved_at=proved_at
    )
    await users.touch_login(connection, user.id)
    return session


async def _tell_of_device(call: Call, connection: Connection, user: str, agent: str) -> None:
    """Mail the account that it is being signed in to from a device that it has not used, unless this is the first."""
    if devices.known(call.services, call.request, user) is not None:
        return
    if not await sessions.were_like(connection, user, agent, call.address):
        language = call.request.accept_languages.best_match(notification_texts.LANGUAGES, default="")
        details = {"agent": agent[:300], "address": call.address, "language": language}
        await notifications.queue(connection, user, "sign_in", **details)


def signed_in(
    call: Call,
    user: UserRow,
    session: str,
    generation: int | None,
    *,
    mode: Mode,
    status: int = 200,
    strong: bool = False,
) -> Response:
    """Return the tokens of a session; a generation of None leaves the refresh token as it is."""
    tokens = call.services.tokens
    access = tokens.access(user.id, session, user.epoch)
    refresh_token = None if generation is None else tokens.refresh(session, generation)
    result = SignedIn(
        user=public_user(user),
        csrf_token=tokens.csrf(session),
        expires_in=ACCESS_SECONDS,
        access_token=access if mode == "token" else None,
        refresh_token=refresh_token if mode == "token" else None,
        second_factor_setup=not strong and call.services.config.demands_second_factor(user.role),
    )
    response = answer(result, status)
    if mode == "cookie":
        cookies.set_session(response, cookie_names(call), access, refresh_token)
    return response


def cookie_names(call: Call) -> cookies.CookieNames:
    return cookies.names(call.request, call.services.config.cookie_security)
