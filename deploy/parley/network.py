"""Addresses of this machine, and free ports on them."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from sfu.server import addresses

AnyAddress = IPv4Address | IPv6Address


def local_addresses() -> list[AnyAddress]:
    """Return every address of this machine that others could use, IPv4 first: the sfu binds these, except loopback."""
    found = (ip_address(text) for text in addresses.local_addresses())
    return sorted((a for a in found if not a.is_loopback), key=lambda a: (a.version, a.packed))


def port_in_use(host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Return True if another process uses the port, so a part cannot bind it."""
    if port <= 0:
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def allocate_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def url_host(address: AnyAddress | str) -> str:
    """Return the address in the form for URLs (RFC 3986: IPv6 in brackets)."""
    text = str(address)
    return f"[{text}]" if ":" in text else text
