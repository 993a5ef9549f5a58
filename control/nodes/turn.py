"""Credentials for TURN that hold for half a day, as coturn's `use-auth-secret` reads them.

draft-uberti-behave-turn-rest-00, section 2.2: the name begins with the time of expiry, the password is its HMAC-SHA1.
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
    """Return the ICE servers that a participant may use, with credentials of its own for ours."""
    servers = list(config.ice_servers)
    if config.turn is not None:
        servers.append(ice_server(config.turn, participant, unix_seconds))
    return servers


def links(server: IceServerConfig) -> list[str]:
    """Return a server as values of WHIP's and WHEP's Link headers (RFC 9725, section 4.6), one for each of its URLs."""
    values = []
    for url in server.urls:
        value = f'<{url}>; rel="ice-server"'
        if server.username and server.credential:
            value += f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
        values.append(value)
    return values
