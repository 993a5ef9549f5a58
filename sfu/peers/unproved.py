"""Receivers of plain transports that nobody vouches for: whoever opened a transport may have named a stranger's
address.

Such a receiver gets media for a second and must answer with RTP or RTCP meanwhile. Each address may be tried a few
times a minute. So it gets little unsolicited media, however many transports are opened, and by whomever.
"""

import ipaddress
from collections import deque

from sfu.api.refusal import Code, Refused

PROOF_NS = 1_000_000_000
TRIES = 4
WINDOW_NS = 60_000_000_000
_MAX_HOSTS = 256


class UnprovedReceivers:
    """The last minute's tries by address; IPv6 addresses count by /64, as one customer has."""

    def __init__(self) -> None:
        self._tries: dict[str, deque[int]] = {}

    def begin(self, address: str, now: int) -> None:
        """Note a try; raises Refused after too many lately, for this address or in all."""
        self._forget(now)
        host = _host(address)
        tries = self._tries.get(host, deque())
        if len(tries) >= TRIES or (not tries and len(self._tries) >= _MAX_HOSTS):
            raise Refused(Code.TOO_MANY_REQUESTS, "This address did not answer; try again in a minute.")
        tries.append(now)
        self._tries[host] = tries

    def proved(self, address: str) -> None:
        """Note that the receiver has answered: its tries no longer count."""
        self._tries.pop(_host(address), None)

    def _forget(self, now: int) -> None:
        for host, tries in list(self._tries.items()):
            while tries and now - tries[0] >= WINDOW_NS:
                tries.popleft()
            if not tries:
                del self._tries[host]


def _host(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
