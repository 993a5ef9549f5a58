"""HTTP requests to URLs that users supply: each address is checked before anything is sent to it.

So neither redirects, DNS rebinding nor unusual notations of an address lead to the internal network.
"""

import socket

import aiohttp

from foundation.addresses import ForbiddenAddress, is_public


def _public_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for a connection to one address; raises ForbiddenAddress before anything is sent."""
    family, kind, protocol, _, address = addr_info
    if not is_public(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is not on the public internet")
    return socket.socket(family, kind, protocol)


def session(allow_private: bool, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """Return a client session without cookies or pooled connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=None if allow_private else _public_socket, use_dns_cache=False, force_close=True, limit=20
        ),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
