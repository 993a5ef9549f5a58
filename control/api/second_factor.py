"""Second factor: set up with an authenticator app, then required at sign-in."""

import logging
import secrets
import time

from control.api.account_types import ConfirmSecondFactor, RecoveryCodes, TotpSecret
from control.api.types import Done
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identity import totp
from control.identity.sealing import is_sealed
from control.problem import Problem
from control.store import audit, passkeys, second_factor, sessions
from control.store.users import UserRow

endpoints = Endpoints("accounts")
_log = logging.getLogger(__name__)
_WINDOW = 15 * 60
_CODES = 10


@endpoints.route("POST", "/api/v1/users/totp/begin", Access.USER, answer=TotpSecret, proof=True)
async def begin_second_factor(call: Call) -> TotpSecret:
    """Return a secret for an authenticator app. It takes effect once `confirm` gets a code from it."""
    user = call.user
    secret = totp.new_secret()
    async with call.services.pool.acquire() as connection, connection.transaction():
        held = await second_factor.of_user(connection, user.user)
        if held is not None and held.totp_confirmed:
            raise Problem(409, "second_factor_exists", "Remove the current second factor first.")
        await second_factor.begin(connection, user.user, call.services.totp_seal.seal(user.user, secret))
    return TotpSecret(secret=secret, uri=totp.uri(secret, user.username, call.services.config.branding.name))


@endpoints.route(
    "POST", "/api/v1/users/totp/confirm", Access.USER, body=ConfirmSecondFactor, answer=RecoveryCodes, proof=True
)
async def confirm_second_factor(call: Call, body: ConfirmSecondFactor) -> RecoveryCodes:
    """Turn the second factor on. The recovery codes, each good for one sign-in, are shown only once."""
    await call.services.limits.spend("totp", call.user.user, 10, _WINDOW)
    codes = [f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _ in range(_CODES)]
    async with call.services.pool.acquire() as connection, connection.transaction():
        held = await second_factor.of_user(connection, call.user.user)
        if held is None or held.totp_secret is None or held.totp_confirmed:
            raise Problem(409, "second_factor", "Start with `/api/v1/users/totp/begin`.")
        secret = await _opened(call, connection, call.user.user, held.totp_secret)
        step = totp.matching_step(secret, body.code, time.time(), held.totp_last_step)
        if step is None:
            raise Problem(403, "wrong_code", "The code is wrong.")
        await second_factor.confirm(connection, call.user.user, step, codes)
        await sessions.strengthen(connection, call.user.session)
        await audit.write(connection, call.actor, "second_factor_on", call.actor, call.address)
    return RecoveryCodes(recovery_codes=codes)


@endpoints.route("DELETE", "/api/v1/users/totp", Access.USER, answer=Done, proof=True)
async def remove_second_factor(call: Call) -> Done:
    """Turn the second factor off."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        await second_factor.remove(connection, call.user.user)
        await audit.write(connection, call.actor, "second_factor_off", call.user.user, call.address)
    return Done()


async def check(call: Call, connection: Connection, user: UserRow, given: str | None) -> bool:
    """Return whether `given` is a valid code of the account's second factor; False if it has none.

    Raises Problem 401 for a wrong code, or if only the account's passkey will do, and 429 after ten wrong ones: the
    caller already knows the password. Needs a transaction.
    """
    held = await second_factor.of_user(connection, user.id)
    if held is None or held.totp_secret is None or not held.totp_confirmed:
        if call.services.config.demands_second_factor(user.role) and await passkeys.of_user(connection, user.id):
            raise Problem(401, "passkey_required", "Sign in with your passkey.")
        return False
    if given is None:
        raise Problem(401, "second_factor_required", "Enter the code from your authenticator app, or a recovery code.")
    await call.services.limits.spend("code", user.id, 10, _WINDOW)
    secret = await _opened(call, connection, user.id, held.totp_secret)
    step = totp.matching_step(secret, given, time.time(), held.totp_last_step)
    if step is not None:
        await second_factor.use_step(connection, user.id, step)
    elif not await second_factor.use_recovery_code(connection, user.id, given):
        raise Problem(401, "wrong_code", "The code is wrong or was already used.")
    await call.services.limits.forgive("code", user.id)
    return True


async def _opened(call: Call, connection: Connection, user: str, stored: str) -> str:
    """Return the unsealed TOTP secret. If that fails, return "", which matches no code.

    A secret that an earlier release stored unsealed is sealed now.
    """
    seal = call.services.totp_seal
    if not is_sealed(stored):
        await second_factor.reseal(connection, user, stored, seal.seal(user, stored))
        return stored
    try:
        return seal.open(user, stored)
    except ValueError as error:
        _log.error("cannot unseal the second factor of %s; has session-secret changed? %s", user, error)
        return ""
