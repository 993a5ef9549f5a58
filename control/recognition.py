"""Recognising people without an account: by a key that their browser keeps, and by the address that they come from.

Only keyed hashes are stored, different ones for each meeting. A host's removal holds for the browser. An address is
shared, by an office for example: a new guest from that of somebody who was removed waits for a host's nod.
"""

import secrets
from dataclasses import dataclass

from quart import Response

from control.auth import cookies
from control.endpoint import Call


@dataclass(frozen=True, slots=True)
class Marks:
    """What is stored of who joins a meeting."""

    browser: bytes
    network: bytes


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks to join. `fresh` is the key that its browser is to keep, None where it has one."""

    marks: Marks
    fresh: str | None


def visitor(call: Call) -> Visitor:
    """Recognise who asks to join the call's meeting."""
    meeting, mark = call.standing.meeting.id, call.services.tokens.mark
    given = call.request.cookies.get(_names(call).browser)
    fresh = None if given else secrets.token_urlsafe(24)
    marks = Marks(mark(meeting, f"browser {given or fresh}"), mark(meeting, f"network {call.network}"))
    return Visitor(marks, fresh)


def remember(call: Call, who: Visitor, response: Response) -> Response:
    """Have the browser keep its key."""
    if who.fresh is not None:
        cookies.set_browser(response, _names(call), who.fresh)
    return response


def _names(call: Call) -> cookies.CookieNames:
    return cookies.names(call.request, call.services.config.cookie_security)
