"""Proof of identity: a session may be stolen, so requests that could take over an account require a recent proof.

Signing in counts as proof for five minutes. The same methods renew it: the password (with a code if the account has an
authenticator app), a passkey, or the identity provider (`/api/v1/auth/oidc/{name}/start?prove=true`).
"""

from control.api import passkeys, second_factor
from control.api.account_types import Proof, Prove
from control.api.types import Done
from control.auth.access import Access, sign_in_required
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.problem import Problem, forbidden
from control.store import passkeys as passkey_rows
from control.store import second_factor as second_factors
from control.store import sessions, users
from control.store.users import UserRow

endpoints = Endpoints("accounts")
_LIMIT = "proof"
_WINDOW = 15 * 60


@endpoints.route("GET", "/api/v1/users/proof", Access.USER, answer=Proof)
async def get_proof(call: Call) -> Proof:
    """Return whether a proof is needed, and the methods available to the account."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_id(connection, call.user.user)
        held = await second_factors.of_user(connection, call.user.user)
        keys = await passkey_rows.of_user(connection, call.user.user)
    if user is None or held is None:
        raise sign_in_required()
    return Proof(
        needed=not call.user.proved,
        password=user.has_password,
        code=held.totp_confirmed,
        passkey=bool(keys),
        identity_providers=tuple(provider.name for provider in call.services.config.oidc),
    )


@endpoints.route("POST", "/api/v1/users/proof", Access.USER, body=Prove, answer=Done)
async def prove(call: Call, body: Prove) -> Done:
    """Prove the identity of the signed-in user. For a passkey, `/api/v1/auth/passkey/begin` returns the challenge."""
    await call.services.limits.spend(_LIMIT, call.user.user, 10, _WINDOW)
    if body.credential is not None:
        async with call.services.pool.acquire() as connection:
            user = await passkeys.verified(call, connection, body.credential)
            if user.id != call.user.user:
                raise forbidden("This passkey belongs to another account.")
            await sessions.prove(connection, call.user.session)
    else:
        user = await _with_password(call, body.password or "")
        async with call.services.pool.acquire() as connection, connection.transaction():
            await _check_code(call, connection, user, body.code)
            await sessions.prove(connection, call.user.session)
    await call.services.limits.forgive(_LIMIT, call.user.user)
    return Done()


async def _with_password(call: Call, password: str) -> UserRow:
    async with call.services.pool.acquire() as connection:
        user = await users.by_id(connection, call.user.user)
    if user is None:
        raise sign_in_required()
    if not await call.services.passwords.verify(user.password_hash, password):
        raise forbidden("The password is wrong.")
    return user


async def _check_code(call: Call, connection: Connection, user: UserRow, code: str | None) -> None:
    try:
        await second_factor.check(call, connection, user, code)
    except Problem as problem:  # 401 would mean that the session is invalid
        raise Problem(403, problem.code, problem.detail) from problem
