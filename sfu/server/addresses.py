"""This machine's addresses, which the node binds and offers."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence

import ifaddr

from foundation.backoff import Backoff

LOOPBACK = "127.0.0.1"
LOOPBACK_V6 = "::1"
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


def local_addresses() -> tuple[str, ...]:
    """Return the addresses to bind: the machine's own first, then 127.0.0.1, without link-local ones."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_link_local or address.is_unspecified) and _binds(text):
                found.append(text)
    found.sort(key=lambda text: ":" in text)
    return (*dict.fromkeys(found), LOOPBACK)


def with_localhost(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return addresses, and ::1 if 127.0.0.1 is one of them and the machine has IPv6.

    A browser takes ::1 for the name `localhost`, and tries no other address over QUIC.
    """
    lacks_it = LOOPBACK in addresses and LOOPBACK_V6 not in addresses
    return (*addresses, LOOPBACK_V6) if lacks_it and _binds(LOOPBACK_V6) else tuple(addresses)


def _binds(address: str) -> bool:
    """Return True if an address can be bound; tentative or deprecated IPv6 addresses may be listed although they
    cannot.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


async def resolve(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the IP literals of hosts. Names are looked up, and retried until they resolve.

    The name may be new, or its server down: a node that gave up would be restarted again and again to no avail. A log
    line names the setting that it waits for.
    """
    pauses = Backoff(_LONGEST_PAUSE, first=1.0)
    while True:
        try:
            return await _resolved(hosts)
        except socket.gaierror as error:
            pause = pauses.pause()
            _log.warning(
                "public_hosts: %s does not resolve (%s); no calls are possible until it does; next try in %.0f s",
                error.filename, error.strerror, pause,
            )  # fmt: skip
            await asyncio.sleep(pause)


async def _resolved(hosts: tuple[str, ...]) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    found: list[str] = []
    for host in hosts:
        try:
            entries = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except socket.gaierror as error:
            error.filename = host
            raise
        for entry in entries:
            text = entry[4][0]
            if isinstance(text, str) and text not in found:
                found.append(text)
    return tuple(found)
