"""Session cookies: HttpOnly, SameSite=Lax, and bound to this host (`__Host-`) under TLS."""

from dataclasses import dataclass
from typing import Literal

from quart import Request, Response

from control.identity.tokens import ACCESS_SECONDS, REFRESH_SECONDS, VISIT_SECONDS


@dataclass(frozen=True, slots=True)
class CookieNames:
    """Names of the cookies. They differ over TLS, so a cookie set over plain HTTP never passes for one set over TLS."""

    access: str
    refresh: str
    device: str
    browser: str
    visit: str
    secure: bool


BROWSER_SECONDS = 400 * 86400  # the longest that browsers keep a cookie
_PLAIN = CookieNames("parley-access", "parley-refresh", "parley-device", "parley-browser", "parley-visit", False)
_SECURE = CookieNames(
    "__Host-parley-access",
    "__Host-parley-refresh",
    "__Host-parley-device",
    "__Host-parley-browser",
    "__Secure-parley-visit",  # has a path, which `__Host-` forbids
    True,
)


def names(request: Request, security: Literal["auto", "always"]) -> CookieNames:
    return _SECURE if security == "always" or request.scheme == "https" else _PLAIN


def set_session(response: Response, cookies: CookieNames, access: str, refresh: str | None) -> None:
    """Set the tokens as cookies; a refresh token of None leaves its cookie unchanged."""
    _set(response, cookies.access, access, ACCESS_SECONDS, cookies.secure)
    if refresh is not None:
        _set(response, cookies.refresh, refresh, REFRESH_SECONDS, cookies.secure)


def set_browser(response: Response, cookies: CookieNames, key: str) -> None:
    """Set the cookie that identifies a browser."""
    _set(response, cookies.browser, key, BROWSER_SECONDS, cookies.secure)


def set_visit(response: Response, cookies: CookieNames, visit: str, path: str) -> None:
    """Set the cookie of a browser that gave the passcode of the shared link at `path`."""
    response.set_cookie(
        cookies.visit, visit, max_age=VISIT_SECONDS, path=path, secure=cookies.secure, httponly=True, samesite="Lax"
    )


def clear_session(response: Response, cookies: CookieNames) -> None:
    for name in (cookies.access, cookies.refresh):
        _set(response, name, "", 0, cookies.secure)


def _set(response: Response, name: str, value: str, max_age: int, secure: bool) -> None:
    response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="Lax")
