"""Account security: sessions, API keys, password resets, and account deletion."""

from datetime import UTC, datetime

from quart import Response

from control import removal
from control.api import account_mail
from control.api.account_types import (
    ApiKey,
    ApiKeys,
    CreateApiKey,
    ForgotPassword,
    ResetPassword,
    Session,
    SessionQuery,
    Sessions,
)
from control.api.paging import NamedListQuery, cut
from control.api.types import Done
from control.auth import cookies
from control.auth.access import Access
from control.endpoint import Call, Endpoints, answer
from control.http import zip_stream
from control.http.limits import OFFICE
from control.problem import Problem, forbidden, not_found
from control.store import api_keys, audit, own_data, sessions, users

endpoints = Endpoints("accounts")
_WINDOW = 15 * 60
_MAX_KEYS = 50


@endpoints.route("GET", "/api/v1/users/sessions", Access.USER, query=SessionQuery, answer=Sessions)
async def list_sessions(call: Call, query: SessionQuery) -> Sessions:
    """List the account's sessions."""
    async with call.services.pool.acquire() as connection:
        rows = await sessions.of_user(connection, call.user.user)
    own = [Session.from_row(row, current=row.id == call.user.session) for row in rows]
    page, following = cut(Session, own, query, searched=("user_agent", "address"))
    return Sessions(sessions=page, next=following)


@endpoints.route("DELETE", "/api/v1/users/sessions/<session>", Access.USER, answer=Done)
async def revoke_session(call: Call, session: str) -> Done:
    """End one of the account's sessions."""
    async with call.services.pool.acquire() as connection:
        if not await sessions.revoke_own(connection, call.user.user, session):
            raise not_found("There is no such session.")
        await audit.write(connection, call.actor, "revoke_session", session, call.address)
    return Done()


@endpoints.route("GET", "/api/v1/users/api-keys", Access.USER, query=NamedListQuery, answer=ApiKeys)
async def list_api_keys(call: Call, query: NamedListQuery) -> ApiKeys:
    """List the account's API keys."""
    async with call.services.pool.acquire() as connection:
        rows = await api_keys.of_user(connection, call.user.user)
    keys, following = cut(ApiKey, [ApiKey.from_row(row, secret=None) for row in rows], query)
    return ApiKeys(keys=keys, next=following)


@endpoints.route(
    "POST", "/api/v1/users/api-keys", Access.USER, body=CreateApiKey, answer=ApiKey, status=201, proof=True
)
async def create_api_key(call: Call, body: CreateApiKey) -> ApiKey:
    """Create an API key. Its secret is the bearer token and is shown only once."""
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise Problem(400, "invalid_request", "The expiry must be in the future.")
    if any(scope.startswith(("admin:", "provisioning:")) for scope in body.scopes) and call.user.role != "admin":
        raise forbidden("Only administrators may create keys with an administration scope.")
    async with call.services.pool.acquire() as connection, connection.transaction():
        if len(await api_keys.of_user(connection, call.user.user)) >= _MAX_KEYS:
            raise Problem(409, "too_many_keys", "The account has too many API keys. Delete one first.")
        scopes = sorted(set(body.scopes))
        row, secret = await api_keys.create(connection, call.user.user, body.name, list(scopes), body.expires_at)
        await audit.write(connection, call.actor, "create_api_key", row.id, call.address, scopes=scopes)
    return ApiKey.from_row(row, secret=secret)


@endpoints.route("DELETE", "/api/v1/users/api-keys/<key>", Access.USER, answer=Done, proof=True)
async def delete_api_key(call: Call, key: str) -> Done:
    """Delete an API key; it stops working at once."""
    async with call.services.pool.acquire() as connection:
        if not await api_keys.delete(connection, call.user.user, key):
            raise not_found("There is no such key.")
        await audit.write(connection, call.actor, "delete_api_key", key, call.address)
    return Done()


@endpoints.route("POST", "/api/v1/auth/forgot-password", Access.PUBLIC, body=ForgotPassword, answer=Done)
async def forgot_password(call: Call, body: ForgotPassword) -> Done:
    """Mail a link to set a new password. The response is the same whether or not the account exists.

    Several accounts may claim an unconfirmed address; each gets its own mail.
    """
    await call.services.limits.spend("forgot-address", call.network, OFFICE, _WINDOW)
    await call.services.limits.spend("forgot-account", users.key(body.email), 3, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        for user in await users.by_email(connection, body.email):
            if user.state == "active":
                await account_mail.reset(call, connection, user)
    return Done()


@endpoints.route("POST", "/api/v1/auth/reset-password", Access.PUBLIC, body=ResetPassword, answer=Done)
async def reset_password(call: Call, body: ResetPassword) -> Done:
    """Set a new password with a token from a mail. All sessions and API keys of the account end."""
    await call.services.limits.spend("reset", call.network, OFFICE, _WINDOW)
    password_hash = await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user, email = await account_mail.redeemed(connection, body.token, "reset")
        await users.set_password(connection, user, password_hash)
        holder = await users.by_id(connection, user)
        if holder is not None and holder.email is not None and users.key(holder.email) == users.key(email):
            await users.take_email(connection, user, email)  # reading its mail confirms the address
        await audit.write(connection, user, "reset_password", user, call.address)
    return Done()


@endpoints.route("GET", "/api/v1/users/export", Access.USER, content_type="application/zip", proof=True)
async def export_account(call: Call) -> Response:
    """Download what is stored about the account as a ZIP file of JSON.

    It contains the profile, sessions, API keys without their secrets, meetings, the account's chat messages and
    captions, and lists of files and recordings.
    """
    services, user = call.services, call.user.user
    await services.limits.spend("export", user, 10, 3600)
    async with services.pool.acquire() as connection:
        await audit.write(connection, call.actor, "export_account", user, call.address)
    response = Response(zip_stream.of_pages(own_data.pages(services.pool, user)), content_type="application/zip")
    response.timeout = None
    response.headers["Content-Disposition"] = 'attachment; filename="account.zip"'
    response.headers["Cache-Control"] = "no-store"
    return response


@endpoints.route("DELETE", "/api/v1/users/account", Access.USER, answer=Done, proof=True)
async def delete_account(call: Call) -> Response:
    """Delete the account with its meetings, recordings, files and keys."""
    await removal.delete_account(call.services, call.user.user)
    response = answer(Done())
    cookies.clear_session(response, cookies.names(call.request, call.services.config.cookie_security))
    return response
