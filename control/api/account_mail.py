"""Mails to accounts: links that confirm an address or set a new password. They are sent after the answer."""

from control.database import Connection
from control.endpoint import Call
from control.mail import MailError
from control.problem import Problem
from control.store import account_tokens
from control.store.users import UserRow

_RESET_SECONDS = 3600
_VERIFY_SECONDS = 3 * 86400


async def confirm(call: Call, connection: Connection, user: UserRow) -> str:
    """Mail the link that confirms the account's address, and return the address; raises Problem 409 without one."""
    if user.email is None:
        raise Problem(409, "no_email", "The account has no e-mail address.")
    token = await account_tokens.create(connection, user.id, "verify", user.email, _VERIFY_SECONDS)
    link = f"{call.services.config.link_origin}/verify-email?token={token}"
    _send(call, user.email, "Confirm your address", f"{link}\n\nThe link works for three days.")
    return user.email


async def reset(call: Call, connection: Connection, user: UserRow) -> None:
    """Mail the link that sets a new password, where the account has an address."""
    if user.email is None:
        return
    token = await account_tokens.create(connection, user.id, "reset", user.email, _RESET_SECONDS)
    link = f"{call.services.config.link_origin}/reset-password?token={token}"
    text = f"Somebody asked to set a new password for {user.username}.\n\n{link}\n\nThe link works for an hour, once."
    _send(call, user.email, "Set a new password", text)


def _send(call: Call, to: str, subject: str, text: str) -> None:
    """Send after the answer, so that its time does not tell whether an account exists."""
    call.services.tasks.start(_send_quietly(call, to, subject, text))


async def _send_quietly(call: Call, to: str, subject: str, text: str) -> None:
    try:
        await call.services.mail.send(to, subject, text)
    except MailError as error:
        call.services.tasks.log_failure(error)
