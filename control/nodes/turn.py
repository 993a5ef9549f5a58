"""TURN credentials for coturn's `use-auth-secret`, valid for twelve hours.

draft-uberti-behave-turn-rest-00, section 2.2: the user name begins with the expiry time; the password is its HMAC-SHA1.
"""

import base64
import hmac

from control.config import TurnConfig
from sfu.api.signaling_values import IceServer

LIFETIME_SECONDS = 12 * 3600


def ice_servers(turn: TurnConfig | None, participant: str, unix_seconds: int) -> list[IceServer]:
    """Return the TURN servers, if there are any, with credentials for one participant."""
    if turn is None:
        return []
    username = f"{unix_seconds + LIFETIME_SECONDS}:{participant}"
    digest = hmac.digest(turn.secret.encode(), username.encode(), "sha1")
    return [IceServer(urls=list(turn.urls), username=username, credential=base64.b64encode(digest).decode())]


def links(servers: list[IceServer]) -> tuple[str, ...]:
    """Return servers as Link header values of WHIP and WHEP (RFC 9725, section 4.6), one per URL."""
    return tuple(
        f'<{url}>; rel="ice-server"; username="{one.username}"; credential="{one.credential}";'
        ' credential-type="password"'
        for one in servers
        for url in one.urls
    )
