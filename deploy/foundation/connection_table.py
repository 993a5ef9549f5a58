"""Connections of a listener, limited in total and per address.

One address can have a quarter of all; for IPv6, an address is a /64, which belongs to one customer. If there is no
room, the connection that has been idle longest is closed for a new one, so idle connections keep nobody out. Busy
connections are never closed.
"""

import ipaddress
from collections.abc import Iterator
from typing import Generic, TypeVar

_Connection = TypeVar("_Connection")
_SHARE_OF_ONE = 4


def host_of(address: str) -> str:
    """Return the party that an address counts towards."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


class Full(Exception):
    """There is no room for a connection, and none is idle."""


class ConnectionTable(Generic[_Connection]):
    """Holds at most `most` connections, `per_host` of them from one address (by default a quarter)."""

    def __init__(self, most: int, per_host: int | None = None) -> None:
        self._most = most
        self._per_host = per_host or max(1, most // _SHARE_OF_ONE)
        self._hosts: dict[_Connection, str] = {}
        self._counts: dict[str, int] = {}
        self._idle: dict[_Connection, None] = {}  # longest idle first
        self._idle_of: dict[str, dict[_Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[_Connection]:
        return iter(tuple(self._hosts))

    def add(self, connection: _Connection, host: str, *, shares: bool = True) -> _Connection | None:
        """Add a connection, which starts idle; return the one to close for it, if any. Raises Full.

        A `host` that represents many clients, such as a gateway, has no limit per address (`shares` False).
        """
        victim: _Connection | None = None
        if shares and self._counts.get(host, 0) >= self._per_host:
            victim = next(iter(self._idle_of.get(host, ())), None)
            if victim is None:
                raise Full
        elif len(self._hosts) >= self._most:
            victim = next(iter(self._idle), None)
            if victim is None:
                raise Full
        if victim is not None:
            self.remove(victim)
        self._hosts[connection] = host
        self._counts[host] = self._counts.get(host, 0) + 1
        self.idle(connection)
        return victim

    def idle(self, connection: _Connection) -> None:
        """Mark the connection as idle."""
        host = self._hosts.get(connection)
        if host is not None and connection not in self._idle:
            self._idle[connection] = None
            self._idle_of.setdefault(host, {})[connection] = None

    def busy(self, connection: _Connection) -> None:
        """Mark the connection as busy: it must not be closed."""
        host = self._hosts.get(connection)
        if host is not None and connection in self._idle:
            del self._idle[connection]
            self._forget_idle(connection, host)

    def remove(self, connection: _Connection) -> None:
        """Remove a connection, if it is present."""
        self.busy(connection)
        host = self._hosts.pop(connection, None)
        if host is not None:
            self._counts[host] -= 1
            if not self._counts[host]:
                del self._counts[host]

    def _forget_idle(self, connection: _Connection, host: str) -> None:
        idle = self._idle_of[host]
        del idle[connection]
        if not idle:
            del self._idle_of[host]
