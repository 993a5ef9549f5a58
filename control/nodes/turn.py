"""TURN credentials that are valid for twelve hours, for coturn's `use-auth-secret`.

draft-uberti-behave-turn-rest-00, section 2.2: the name begins with the expiry time, the password is its HMAC-SHA1.
"""

import base64
import hmac

from control.config import ControlConfig, IceServerConfig, TurnConfig

LIFETIME_SECONDS = 12 * 3600


def ice_server(turn: TurnConfig, participant: str, unix_seconds: int) -> IceServerConfig:
    """Return the TURN servers with credentials for one participant."""
    username = f"{unix_seconds + LIFETIME_SECONDS}:{participant}"
    digest = hmac.digest(turn.secret.encode(), username.encode(), "sha1")
    return IceServerConfig(urls=turn.urls, username=username, credential=base64.b64encode(digest).decode())


def offered(config: ControlConfig, participant: str, unix_seconds: int) -> list[IceServerConfig]:
    """Return the ICE servers of a participant, with its own credentials for configured TURN servers."""
    servers = list(config.ice_servers)
    if config.turn is not None:
        servers.append(ice_server(config.turn, participant, unix_seconds))
    return servers


def links(server: IceServerConfig) -> list[str]:
    """Return a server as Link header values of WHIP and WHEP (RFC 9725, section 4.6), one per URL."""
    values = []
    for url in server.urls:
        value = f'<{url}>; rel="ice-server"'
        if server.username and server.credential:
            value += f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
        values.append(value)
    return values
