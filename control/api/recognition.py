"""Recognition of people without an account by a key in their browser and by their network address.

Only keyed hashes are stored, different ones for each meeting. A removal applies to the browser. An address may be
shared, for example by an office: a new guest from the address of somebody who was removed waits for a host's approval.
"""

import secrets
from dataclasses import dataclass

from quart import Response

from control.auth import cookies
from control.endpoint import Call


@dataclass(frozen=True, slots=True)
class Marks:
    """Stored hashes of somebody who joins a meeting."""

    browser: bytes
    network: bytes


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks to join. `fresh` is a new key for the browser, None if it has one."""

    marks: Marks
    fresh: str | None


def visitor(call: Call) -> Visitor:
    """Return the hashes of the caller's browser and address for its meeting."""
    meeting, mark = call.standing.meeting.id, call.services.tokens.mark
    given = call.request.cookies.get(_names(call).browser)
    fresh = None if given else secrets.token_urlsafe(24)
    marks = Marks(mark(meeting, f"browser {given or fresh}"), mark(meeting, f"network {call.network}"))
    return Visitor(marks, fresh)


def remember(call: Call, who: Visitor, response: Response) -> Response:
    """Set the cookie with the browser's key."""
    if who.fresh is not None:
        cookies.set_browser(response, _names(call), who.fresh)
    return response


def _names(call: Call) -> cookies.CookieNames:
    return cookies.names(call.request, call.services.config.cookie_security)
