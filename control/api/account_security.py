"""The safety of an account: its sessions, API keys, mail tokens, and its deletion."""

from datetime import UTC, datetime

from quart import Response

from control import removal
from control.api import account_mail
from control.api.account_types import (
    ApiKey,
    ApiKeys,
    CreateApiKey,
    DeleteAccount,
    ForgotPassword,
    ResetPassword,
    Session,
    Sessions,
    VerifyEmail,
)
from control.api.types import Done
from control.auth import cookies
from control.auth.access import Access, sign_in_required
from control.endpoint import Call, Endpoints, answer
from control.mail import MailError
from control.problem import Problem, forbidden, not_found
from control.store import account_tokens, api_keys, audit, sessions, users
from control.store.api_keys import ApiKeyRow

endpoints = Endpoints("accounts")
_WINDOW = 15 * 60
_VERIFY_SECONDS = 3 * 86400
_MAX_KEYS = 50


@endpoints.route("GET", "/api/v1/users/sessions", Access.USER, answer=Sessions)
async def list_sessions(call: Call) -> Sessions:
    """List where the account is signed in."""
    async with call.services.pool.acquire() as connection:
        rows = await sessions.of_user(connection, call.user.user)
    return Sessions(
        sessions=[
            Session(
                id=row.id,
                created_at=row.created_at,
                last_used_at=row.last_used_at,
                user_agent=row.user_agent,
                address=row.address,
                current=row.id == call.user.session,
            )
            for row in rows
        ]
    )


@endpoints.route("DELETE", "/api/v1/users/sessions/<session>", Access.USER, answer=Done)
async def revoke_session(call: Call, session: str) -> Done:
    """Sign out elsewhere."""
    async with call.services.pool.acquire() as connection:
        if not await sessions.revoke_own(connection, call.user.user, session):
            raise not_found("There is no such session.")
        await audit.write(connection, call.actor, "revoke_session", session, call.address)
    return Done()


@endpoints.route("GET", "/api/v1/users/api-keys", Access.USER, answer=ApiKeys)
async def list_api_keys(call: Call) -> ApiKeys:
    """List the account's API keys."""
    async with call.services.pool.acquire() as connection:
        rows = await api_keys.of_user(connection, call.user.user)
    return ApiKeys(keys=[_public_key(row, None) for row in rows])


@endpoints.route("POST", "/api/v1/users/api-keys", Access.USER, body=CreateApiKey, answer=ApiKey, status=201)
async def create_api_key(call: Call, body: CreateApiKey) -> ApiKey:
    """Make an API key: its secret is used as bearer and shown only now."""
    if body.expires_at is not None and (body.expires_at.tzinfo is None or body.expires_at <= datetime.now(UTC)):
        raise Problem(400, "invalid_request", "A key expires in the future, and the time needs a zone.")
    if any(scope.startswith("admin:") for scope in body.scopes) and call.user.role != "admin":
        raise forbidden("Only administrators may make keys for administration.")
    async with call.services.pool.acquire() as connection, connection.transaction():
        if len(await api_keys.of_user(connection, call.user.user)) >= _MAX_KEYS:
            raise Problem(409, "too_many_keys", "Delete a key first.")
        scopes = sorted(set(body.scopes))
        row, secret = await api_keys.create(connection, call.user.user, body.name, list(scopes), body.expires_at)
        await audit.write(connection, call.actor, "create_api_key", row.id, call.address, scopes=scopes)
    return _public_key(row, secret)


@endpoints.route("DELETE", "/api/v1/users/api-keys/<key>", Access.USER, answer=Done)
async def delete_api_key(call: Call, key: str) -> Done:
    """Delete an API key; it stops working at once."""
    async with call.services.pool.acquire() as connection:
        if not await api_keys.delete(connection, call.user.user, key):
            raise not_found("There is no such key.")
        await audit.write(connection, call.actor, "delete_api_key", key, call.address)
    return Done()


@endpoints.route("POST", "/api/v1/auth/forgot-password", Access.PUBLIC, body=ForgotPassword, answer=Done)
async def forgot_password(call: Call, body: ForgotPassword) -> Done:
    """Mail a link to set a new password; the answer is the same whether or not there is such an account."""
    await call.services.limits.spend("forgot-address", call.network, 20, _WINDOW)
    await call.services.limits.spend("forgot-account", users.key(body.email), 3, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_login(connection, body.email)
        if user is None or user.email is None or user.state != "active":
            return Done()
        await account_mail.reset(call, connection, user)
    return Done()


@endpoints.route("POST", "/api/v1/auth/reset-password", Access.PUBLIC, body=ResetPassword, answer=Done)
async def reset_password(call: Call, body: ResetPassword) -> Done:
    """Set a new password with the token of a mail; every session of the account ends."""
    await call.services.limits.spend("reset", call.network, 20, _WINDOW)
    password_hash = await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        redeemed = await account_tokens.redeem(connection, body.token, "reset")
        if redeemed is None:
            raise Problem(403, "reset_token", "The link does not hold: it was used or has expired.")
        user, email = redeemed
        await users.set_password(connection, user, password_hash)
        await users.confirm_email(connection, user, email)
        await audit.write(connection, user, "reset_password", user, call.address)
    return Done()


@endpoints.route("POST", "/api/v1/users/verify-email", Access.USER, answer=Done)
async def request_verification(call: Call) -> Done:
    """Mail a link that confirms the account's address."""
    await call.services.limits.spend("verify", call.user.user, 5, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_id(connection, call.user.user)
        if user is None or user.email is None:
            raise Problem(409, "no_email", "The account has no e-mail address.")
        token = await account_tokens.create(connection, user.id, "verify", user.email, _VERIFY_SECONDS)
    link = f"{call.services.config.link_origin}/verify-email?token={token}"
    try:
        await call.services.mail.send(user.email, "Confirm your address", f"{link}\n\nThe link works for three days.")
    except MailError as error:
        raise Problem(502, "mail", "The mail server did not take the mail.") from error
    return Done()


@endpoints.route("POST", "/api/v1/auth/verify-email", Access.PUBLIC, body=VerifyEmail, answer=Done)
async def verify_email(call: Call, body: VerifyEmail) -> Done:
    """Confirm an address with the token of a mail."""
    await call.services.limits.spend("verify-token", call.network, 20, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        redeemed = await account_tokens.redeem(connection, body.token, "verify")
        if redeemed is None or not await users.confirm_email(connection, *redeemed):
            raise Problem(403, "verify_token", "The link does not hold: it was used or has expired.")
    return Done()


@endpoints.route("DELETE", "/api/v1/users/account", Access.USER, body=DeleteAccount, answer=Done)
async def delete_account(call: Call, body: DeleteAccount) -> Response:
    """Delete the account with its meetings, recordings, files and keys."""
    await call.services.limits.spend("change-password", call.user.user, 10, _WINDOW)
    async with call.services.pool.acquire() as connection:
        user = await users.by_id(connection, call.user.user)
    if user is None:
        raise sign_in_required()
    if not await call.services.passwords.verify(user.password_hash, body.password):
        raise forbidden("The password is wrong.")
    await removal.delete_account(call.services, user.id)
    response = answer(Done())
    cookies.clear_session(response, cookies.names(call.request, call.services.config.cookie_security))
    return response


def _public_key(row: ApiKeyRow, secret: str | None) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=row.scopes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        secret=secret,
    )
