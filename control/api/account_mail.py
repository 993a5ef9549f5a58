"""Mail to accounts: links that confirm an address, set a new password, or undo a change."""

from control.database import Connection
from control.endpoint import Call
from control.mail import MailError
from control.problem import Problem
from control.store import account_tokens
from control.store.account_tokens import Purpose
from control.store.users import UserRow

_RESET_SECONDS = 3600
_VERIFY_SECONDS = 3 * 86400
_UNDO_SECONDS = 14 * 86400


async def confirm(call: Call, connection: Connection, user: UserRow, email: str) -> None:
    """Mail the link that confirms an address for the account."""
    token = await account_tokens.create(connection, user.id, "verify", email, _VERIFY_SECONDS)
    link = f"{call.services.config.link_origin}/verify-email?token={token}"
    text = f"This link makes the address that of {user.username}:\n\n{link}\n\nIt works for three days."
    _send(call, email, "Confirm your address", text)


async def changed(call: Call, connection: Connection, before: UserRow, email: str | None) -> None:
    """Notify the account's previous address; if it was confirmed, it gets a link that undoes the change."""
    if before.email is None:
        return
    now = "has no address any more" if email is None else f"has the address {email} now"
    text = f"{before.username} {now}, and this one no longer leads to it.\n\nIf that was you, there is nothing to do."
    if before.email_verified_at is not None:
        token = await account_tokens.create(connection, before.id, "undo", before.email, _UNDO_SECONDS)
        link = f"{call.services.config.link_origin}/undo-email?token={token}"
        text += f" If not, this link brings the address back and sets a new password:\n\n{link}\n\n"
        text += "It works for 14 days."
    else:
        text += " If not, sign in and change your password."
    _send(call, before.email, "Your address was changed", text)


async def reset(call: Call, connection: Connection, user: UserRow) -> None:
    """Mail the link that sets a new password, if the account has an address."""
    if user.email is None:
        return
    token = await account_tokens.create(connection, user.id, "reset", user.email, _RESET_SECONDS)
    link = f"{call.services.config.link_origin}/reset-password?token={token}"
    text = f"Somebody asked to reset the password of {user.username}.\n\n{link}\n\nThe link works once, within an hour."
    _send(call, user.email, "Set a new password", text)


async def redeemed(connection: Connection, token: str, purpose: Purpose) -> tuple[str, str]:
    """Use up a mailed token and return its account and address; raises Problem 403 if it is invalid."""
    found = await account_tokens.redeem(connection, token, purpose)
    if found is None:
        raise Problem(403, f"{purpose}_token", "The link is invalid: it was already used or has expired.")
    return found


def _send(call: Call, to: str, subject: str, text: str) -> None:
    """Send after the response, so that response times do not reveal whether an account exists."""
    call.services.tasks.start(_send_quietly(call, to, subject, text))


async def _send_quietly(call: Call, to: str, subject: str, text: str) -> None:
    try:
        await call.services.mail.send(to, subject, text)
    except MailError as error:
        call.services.tasks.log_failure(error)
