"""Outgoing requests to URLs that users supply (webhooks): never to this machine or its network.

Each address is checked before connecting to it, whether resolved or written in the URL. So no redirect, no DNS
rebinding and no odd spelling of an address leads to the internal network.
"""

import re
import socket

import aiohttp
from yarl import URL

from control.problem import Problem
from foundation.addresses import ForbiddenAddress, is_public

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_MAX_NAME = 253  # RFC 1035, in characters


def check_url(url: str, allow_private: bool) -> None:
    """Raise Problem 400 unless the URL is https to a name or public address.

    The URL is parsed as the HTTP client parses it, with its host normalised (IDNA, UTS 46): digits of any script can
    form an address.
    """
    try:
        parts = URL(url)
        host, port = parts.raw_host or "", parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is not a URL.") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise Problem(400, "invalid_url", "The URL must begin with https.")
    strange = any(letter.isspace() or ord(letter) < 32 for letter in url)
    if strange or not port or parts.raw_user is not None or parts.raw_password is not None:
        raise Problem(400, "invalid_url", "This URL cannot be called.")
    public = _literal(host)
    if public is None and not _is_name(host):
        raise Problem(400, "invalid_url", "This is not a host name.")
    if public is False and not allow_private:
        raise Problem(400, "forbidden_address", "This address is not on the public internet.")


def is_forbidden(host: str) -> bool:
    """Return whether a host is written as an address that is not on the public internet."""
    return _literal(host) is False


def _is_name(host: str) -> bool:
    """Return whether a normalised name is valid in DNS: labels of 1 to 63 characters, 253 in all (RFC 1035)."""
    name = host.removesuffix(".")
    return len(name) <= _MAX_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def _literal(host: str) -> bool | None:
    """Return whether a literal address is public; None for a name. Old spellings (0x7f.1, 2130706433) count."""
    try:
        return is_public(host)
    except ValueError:
        pass
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, UnicodeError):
        return None


def _public_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for a connection to one address; raises ForbiddenAddress before anything is sent."""
    family, kind, protocol, _, address = addr_info
    if not is_public(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is not on the public internet")
    return socket.socket(family, kind, protocol)


def session(allow_private: bool) -> aiohttp.ClientSession:
    """Return a client session for outgoing requests, without cookies or pooled connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=None if allow_private else _public_socket, use_dns_cache=False, force_close=True, limit=20
        ),
        timeout=aiohttp.ClientTimeout(total=10, connect=5),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
