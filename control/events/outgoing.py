"""Requests to addresses that users give (webhooks): never to this machine or its network.

The check is made on each address that a connection is opened to, whether it was resolved or written in the URL, so
neither a redirect, nor a name that resolves differently the second time, nor a spelling of an address leads inside.
"""

import ipaddress
import re
import socket

import aiohttp
from yarl import URL

from control.http.problem import Problem

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_MAX_NAME = 253  # RFC 1035, in letters


class ForbiddenAddress(OSError):
    """The address is not one of the open internet."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when it is IPv4 inside IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if ip not in _GLOBAL_UNICAST:  # all that IANA has given out so far
            return False
    return ip.is_global and not ip.is_multicast


def check_url(url: str, allow_private: bool) -> None:
    """Raise Problem 400 for a URL that is not https to a name or public address.

    It is read as the HTTP client reads it, its host normalised (IDNA, UTS 46): digits of any script make an address.
    """
    try:
        parts = URL(url)
        host, port = parts.raw_host or "", parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is no URL.") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise Problem(400, "invalid_url", "The URL must begin with https.")
    strange = any(letter.isspace() or ord(letter) < 32 for letter in url)
    if strange or not port or parts.raw_user is not None or parts.raw_password is not None:
        raise Problem(400, "invalid_url", "This is no URL that can be called.")
    public = _literal(host)
    if public is None and not _is_name(host):
        raise Problem(400, "invalid_url", "This is no name of a host.")
    if public is False and not allow_private:
        raise Problem(400, "forbidden_address", "This address is not on the open internet.")


def _is_name(host: str) -> bool:
    """Whether a resolver can be asked for a normalised name: labels of 1 to 63 letters, 253 in all (RFC 1035)."""
    name = host.removesuffix(".")
    return len(name) <= _MAX_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def _literal(host: str) -> bool | None:
    """Whether a literal address is public; None for a name. Old spellings (0x7f.1, 2130706433) are addresses too."""
    try:
        return is_public(host)
    except ValueError:
        pass
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, UnicodeError):
        return None


def _public_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    """Return the socket for a connection to one address; raises ForbiddenAddress before anything is sent."""
    family, kind, protocol, _, address = addr_info
    if not is_public(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is not on the open internet")
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
