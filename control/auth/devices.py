"""Browsers that an account has signed in from before, recognised by a signed cookie.

Their failed sign-ins are counted separately, so that strangers who guess passwords cannot lock the account's owner out.

The cookie grants no access and survives signing out. A browser that loses it counts as a stranger's.
"""

from quart import Request, Response

from control.auth import cookies
from control.identifiers import new_id
from control.identity.tokens import DEVICE_SECONDS, Device
from control.services import Services

_MOST_ACCOUNTS = 5


def known(services: Services, request: Request, user: str) -> Device | None:
    """Return the caller's browser, or None if this account has not signed in from it."""
    device = _read(services, request)
    return device if device is not None and user in device.users else None


def remember(services: Services, request: Request, response: Response, user: str) -> None:
    """Record in the browser's cookie that this account signed in. The cookie holds the last few accounts."""
    before = _read(services, request) or Device(new_id("device"), ())
    users = (user, *(one for one in before.users if one != user))[:_MOST_ACCOUNTS]
    names = cookies.names(request, services.config.cookie_security)
    token = services.tokens.device(Device(before.id, users))
    response.set_cookie(
        names.device, token, max_age=DEVICE_SECONDS, path="/", secure=names.secure, httponly=True, samesite="Lax"
    )


def _read(services: Services, request: Request) -> Device | None:
    given = request.cookies.get(cookies.names(request, services.config.cookie_security).device, "")
    return services.tokens.read_device(given) if given else None
