"""Checks before a shared link opens: its passcode, and an e-mail address of one of its domains.

An address is proved by an account that confirmed it, or by a code mailed to it. The browser keeps what it proved in a
signed cookie of this link. Codes are calculated, not stored: each is valid for a quarter of an hour at least.
"""

from dataclasses import replace

from quart import Response

from control.api.types import Done
from control.auth import cookies
from control.endpoint import Call, answer
from control.http.limits import Failures
from control.identity.tokens import Visit
from control.mail import MailError
from control.problem import Problem
from control.store import users
from control.store.links import LinkRow

_WINDOW = 15 * 60
_CODES_PER_ADDRESS = 5
_CODES_PER_NETWORK = 30
_WRONG_CODES = 10


async def check(call: Call, link: LinkRow) -> None:
    """Raise Problem 403 unless the link opens for this browser."""
    visit = _visit(call, link)
    _check_passcode(link, visit)
    if link.domains and not _belongs(link, visit.address) and not _belongs(link, await _confirmed_address(call)):
        domains = ", ".join(link.domains)
        if call.services.mail.configured:
            text = f"This link requires an e-mail address of {domains}. Sign in with one, or have a code mailed."
            raise Problem(403, "link_address_required", text)
        text = f"This link requires an account with a confirmed e-mail address of {domains}. Sign in with it."
        raise Problem(403, "link_account_required", text)


async def give_passcode(call: Call, token: str, link: LinkRow, passcode: str) -> Response:
    """Return the response that opens a link with a passcode; raises Problem 403 for a wrong one."""
    stored, bars = link.passcode_hash, call.services.config.limits
    limits = (
        Failures("shared-passcode", f"{link.id}:{call.network}", bars.passcode_failures, _WINDOW),
        Failures("shared-passcode-link", link.id, bars.meeting_failures, _WINDOW),
    )
    if stored is not None and not await call.services.limits.guess(
        limits, lambda: call.services.passcodes.verify(stored, passcode)
    ):
        raise Problem(403, "wrong_link_passcode", "The passcode is wrong.")
    return _proved(call, token, link, replace(_visit(call, link), passcode=True))


async def mail_code(call: Call, link: LinkRow, address: str) -> None:
    """Mail a code that proves an address. Raises Problem 403 for an address that the link does not admit."""
    services = call.services
    _check_passcode(link, _visit(call, link))
    if not services.mail.configured:
        raise Problem(409, "no_mail", "This server cannot send mail. Sign in with an account instead.")
    if not _belongs(link, address):
        raise Problem(403, "link_domain", "This link is not for addresses of that domain.")
    await services.limits.spend("shared-code", f"{link.id}:{address.casefold()}", _CODES_PER_ADDRESS, _WINDOW)
    await services.limits.spend("shared-code-network", call.network, _CODES_PER_NETWORK, _WINDOW)
    code = services.tokens.address_code(link.id, address)
    text = f"The code {code} opens the recording that was shared with you. It is valid for 15 minutes."
    text += "\n\nIf you did not ask for it, there is nothing to do."
    services.tasks.start(_send(call, address, text))


async def give_code(call: Call, token: str, link: LinkRow, address: str, code: str) -> Response:
    """Return the response that opens a link for the owner of an address; raises Problem 403 for a wrong code."""
    services = call.services

    async def is_right() -> bool:
        return services.tokens.address_code_matches(link.id, address, code)

    bars = services.config.limits
    limits = (
        Failures("shared-code-address", f"{link.id}:{address.casefold()}", _WRONG_CODES, _WINDOW),
        Failures("shared-code-failures", f"{link.id}:{call.network}", bars.passcode_failures, _WINDOW),
        Failures("shared-code-link", link.id, bars.meeting_failures, _WINDOW),
    )
    if not _belongs(link, address) or not await services.limits.guess(limits, is_right):
        raise Problem(403, "wrong_link_code", "The code is wrong, or has expired.")
    return _proved(call, token, link, replace(_visit(call, link), address=address))


def _check_passcode(link: LinkRow, visit: Visit) -> None:
    if link.passcode_hash is not None and not visit.passcode:
        raise Problem(403, "link_passcode_required", "This link requires a passcode.")


def _visit(call: Call, link: LinkRow) -> Visit:
    """Return what the browser has proved for this link."""
    name = cookies.names(call.request, call.services.config.cookie_security).visit
    return call.services.tokens.read_visit(link.id, call.request.cookies.get(name, ""))


def _proved(call: Call, token: str, link: LinkRow, visit: Visit) -> Response:
    response = answer(Done())
    names = cookies.names(call.request, call.services.config.cookie_security)
    cookies.set_visit(response, names, call.services.tokens.visit(link.id, visit), f"/api/v1/shared/{token}")
    return response


def _belongs(link: LinkRow, address: str | None) -> bool:
    """Return True if an address is of one of the link's domains. Subdomains are other domains."""
    return address is not None and address.rpartition("@")[2].casefold() in link.domains


async def _confirmed_address(call: Call) -> str | None:
    """Return the caller's address if the caller is an account that confirmed it."""
    if call.principal is None or call.principal.user is None:
        return None
    async with call.services.pool.acquire() as connection:
        user = await users.by_id(connection, call.principal.user.user)
    return None if user is None or user.email_verified_at is None else user.email


async def _send(call: Call, address: str, text: str) -> None:
    try:
        await call.services.mail.send(address, "Your code for a shared recording", text)
    except MailError as error:
        call.services.tasks.log_failure(error)
