"""Rate limits: fixed windows counted in Redis, or in this process while Redis is unreachable.

`spend` counts actions. `guess` counts only wrong attempts, so that a crowd with the right passcode is never refused.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from control.live_state import LiveState
from control.problem import Problem

_MAX_LOCAL = 10_000
_SUBSCRIBER_PREFIX = 64
OFFICE = 300
"""Actions of one address in a quarter of an hour, each of which every person in an office or a school takes once."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests left within a general limit; the window ends in `reset` seconds."""

    limit: int
    remaining: int
    reset: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Limit on a subject's wrong attempts within `seconds`."""

    name: str
    subject: str
    allowed: int
    seconds: int

    @property
    def key(self) -> str:
        return f"limit:{self.name}:{self.subject}"


def network(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _SUBSCRIBER_PREFIX), strict=False))
    return str(parsed)


class Limits:
    def __init__(self, live: LiveState) -> None:
        self._live = live
        self._local: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def spend(self, name: str, subject: str, allowed: int, seconds: int) -> None:
        """Count one action of `subject`; raises Problem 429 after more than `allowed` within `seconds`."""
        if await self._count(f"limit:{name}:{subject}", seconds) > allowed:
            raise _too_many(seconds)

    async def forgive(self, name: str, subject: str) -> None:
        """Reset the subject's count."""
        key = f"limit:{name}:{subject}"
        self._local.pop(key, None)
        await self._live.forget(key)

    async def guess(self, limits: Sequence[Failures], attempt: Callable[[], Awaitable[bool]]) -> bool:
        """Return whether an attempt is right, and count a wrong one. Raises Problem 429 after too many wrong ones.

        The counts are read again after the attempt, so of many concurrent attempts, those beyond the limit learn
        nothing.
        """
        await self._check(limits)
        right = await attempt()
        if right:
            await self._check(limits)
            return True
        counts = [await self._count(one.key, one.seconds) for one in limits]
        for one, count in zip(limits, counts, strict=True):
            if count > one.allowed:
                raise _too_many(one.seconds)
        return False

    def check_requests(self, subject: str, limit: int) -> None:
        """Raise Problem 429 if `subject` has made `limit` requests this minute, without counting this one."""
        key = f"requests:{subject}"
        if self._read_locally(key) >= limit:
            raise self._too_many_requests(key, limit)

    def request(self, subject: str, limit: int) -> Allowance:
        """Count one request of `subject` in this process; raises Problem 429 beyond `limit` a minute."""
        key = f"requests:{subject}"
        count = self._count_locally(key, 60)
        if count > limit:
            raise self._too_many_requests(key, limit)
        return Allowance(limit, limit - count, self._reset(key))

    def take_back(self, subject: str) -> None:
        """Subtract one request of `subject` that turned out to be somebody else's."""
        key = f"requests:{subject}"
        if key in self._local:
            ends, count = self._local[key]
            self._local[key] = (ends, max(0, count - 1))

    def _too_many_requests(self, key: str, limit: int) -> Problem:
        headers = {"Retry-After": str(self._reset(key)), "RateLimit-Limit": str(limit), "RateLimit-Remaining": "0"}
        return Problem(429, "too_many_requests", "Too many requests. Slow down.", headers)

    def _reset(self, key: str) -> int:
        return max(1, round(self._local[key][0] - time.monotonic()))

    async def _check(self, limits: Sequence[Failures]) -> None:
        for one in limits:
            shared = await self._live.read(one.key)
            if (self._read_locally(one.key) if shared is None else shared) >= one.allowed:
                raise _too_many(one.seconds)

    async def _count(self, key: str, seconds: int) -> int:
        local = self._count_locally(key, seconds)
        shared = await self._live.count(key, seconds)
        return local if shared is None else shared

    def _count_locally(self, key: str, seconds: int) -> int:
        now = time.monotonic()
        ends, count = self._local.pop(key, (now + seconds, 0))
        if ends <= now:
            ends, count = now + seconds, 0
        self._local[key] = (ends, count + 1)
        while len(self._local) > _MAX_LOCAL:
            self._local.popitem(last=False)
        return count + 1

    def _read_locally(self, key: str) -> int:
        ends, count = self._local.get(key, (0.0, 0))
        return count if ends > time.monotonic() else 0


def _too_many(seconds: int) -> Problem:
    return Problem(429, "too_many_requests", "Too many attempts. Try again later.", {"Retry-After": str(seconds)})
