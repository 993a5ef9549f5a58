"""Requests to addresses that users give (webhooks): never to this machine or its network.

The check is made on the addresses that the connection is then opened to, so neither a redirect (none is followed) nor
a name that resolves differently the second time leads inside.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from control.problem import Problem


class ForbiddenAddress(OSError):
    """The name resolves to no address outside."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when it is IPv4 inside IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return inner.is_global
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF).is_global
    return ip.is_global and not ip.is_multicast


def check_url(url: str, allow_private: bool) -> None:
    """Raise Problem 400 for a URL that is not https to a name or public address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is no URL.") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise Problem(400, "invalid_url", "The URL must begin with https.")
    if not host or parts.username is not None or any(letter.isspace() or ord(letter) < 32 for letter in url):
        raise Problem(400, "invalid_url", "This is no URL that can be called.")
    if not allow_private and _literal(host) not in {None, True}:
        raise Problem(400, "forbidden_address", "This address is not on the open internet.")


def _literal(host: str) -> bool | None:
    """Whether a literal address is public; None for a name. Old spellings (0x7f.1, 2130706433) are addresses too."""
    try:
        return is_public(host)
    except ValueError:
        pass
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return None


class GuardedResolver(AbstractResolver):
    """Resolves names, and leaves out what is not on the open internet."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if is_public(one["host"])]
        if not allowed:
            raise ForbiddenAddress(f"{host} is not on the open internet")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


def session(allow_private: bool) -> aiohttp.ClientSession:
    """Return a client session for outgoing requests, without cookies or pooled connections."""
    resolver = None if allow_private else GuardedResolver()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=20),
        timeout=aiohttp.ClientTimeout(total=10, connect=5),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
