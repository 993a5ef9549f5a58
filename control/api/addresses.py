"""Account e-mail addresses: a change takes effect once confirmed, and the previous address can undo it."""

from control.api import account_mail
from control.api.account_types import UndoEmail, VerifyEmail
from control.api.types import Done
from control.auth.access import Access, check_proof, sign_in_required
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.http.limits import OFFICE
from control.problem import Problem
from control.store import account_tokens, audit, users
from control.store.users import UserRow

endpoints = Endpoints("accounts")
_WINDOW = 15 * 60


async def change(call: Call, connection: Connection, user: UserRow, email: str | None) -> None:
    """Start changing an account's address by mailing a link to the new one. None removes the address at once.

    Raises Problem 403 without recent proof, 409 if the address belongs to another account.
    """
    if email is not None and user.email is not None and users.key(email) == users.key(user.email):
        await account_tokens.forget(connection, user.id, "verify")  # the pending address, if any
        return
    if email is None and user.email is None:
        await account_tokens.forget(connection, user.id, "verify")
        return
    check_proof(call.principal)
    if email is None:
        await users.drop_email(connection, user.id)
        await _tell_of_change(call, connection, user, None)
        return
    await call.services.limits.spend("verify", user.id, 5, _WINDOW)
    await users.check_free(connection, email, user=user.id)
    await account_mail.confirm(call, connection, user, email)


@endpoints.route("POST", "/api/v1/users/verify-email", Access.USER, answer=Done)
async def request_verification(call: Call) -> Done:
    """Mail a link that confirms the account's address, or its pending one."""
    await call.services.limits.spend("verify", call.user.user, 5, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_id(connection, call.user.user)
        if user is None:
            raise sign_in_required()
        email = await account_tokens.pending_email(connection, user.id) or user.email
        if email is None:
            raise Problem(409, "no_email", "The account has no e-mail address.")
        await account_mail.confirm(call, connection, user, email)
    return Done()


@endpoints.route("POST", "/api/v1/auth/verify-email", Access.PUBLIC, body=VerifyEmail, answer=Done)
async def verify_email(call: Call, body: VerifyEmail) -> Done:
    """Confirm an address with a token from a mail; a pending address takes effect."""
    await call.services.limits.spend("verify-token", call.network, OFFICE, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        account, email = await account_mail.redeemed(connection, body.token, "verify")
        user = await users.by_id(connection, account)
        assert user is not None
        await users.take_email(connection, user.id, email)
        if user.email is not None and users.key(user.email) != users.key(email):
            await _tell_of_change(call, connection, user, email)
    return Done()


@endpoints.route("POST", "/api/v1/auth/undo-email", Access.PUBLIC, body=UndoEmail, answer=Done)
async def undo_email(call: Call, body: UndoEmail) -> Done:
    """Restore an account's previous address with a new password. All sessions end."""
    await call.services.limits.spend("undo-token", call.network, OFFICE, _WINDOW)
    password_hash = await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        user, email = await account_mail.redeemed(connection, body.token, "undo")
        await users.take_email(connection, user, email)
        await users.set_password(connection, user, password_hash)
        await account_tokens.forget(connection, user, "undo")  # the links of the changes that are undone
        await audit.write(connection, user, "undo_email", user, call.address)
    return Done()


async def _tell_of_change(call: Call, connection: Connection, before: UserRow, email: str | None) -> None:
    await account_tokens.forget(connection, before.id, "reset")  # these links were mailed to the old address
    await account_mail.changed(call, connection, before, email)
    await audit.write(connection, before.id, "change_email", before.id, call.address)
