"""Rate limits: fixed windows counted in Redis, or in this process while Redis is away."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from control.live_state import LiveState
from control.problem import Problem

_MAX_LOCAL = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a general limit; the window ends in `reset` seconds."""

    limit: int
    remaining: int
    reset: int


class Limits:
    def __init__(self, live: LiveState) -> None:
        self._live = live
        self._local: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def spend(self, name: str, subject: str, allowed: int, seconds: int) -> None:
        """Count one act of `subject`; raises Problem 429 beyond `allowed` within `seconds`."""
        key = f"limit:{name}:{subject}"
        local = self._count_locally(key, seconds)
        shared = await self._live.count(key, seconds)
        if (local if shared is None else shared) > allowed:
            raise Problem(
                429, "too_many_requests", "Too many attempts; try again later.", {"Retry-After": str(seconds)}
            )

    async def forgive(self, name: str, subject: str) -> None:
        """Start the subject's count anew."""
        key = f"limit:{name}:{subject}"
        self._local.pop(key, None)
        await self._live.forget(key)

    def request(self, subject: str, limit: int) -> Allowance:
        """Count one request of `subject` in this process; raises Problem 429 beyond `limit` a minute."""
        key = f"requests:{subject}"
        count = self._count_locally(key, 60)
        reset = max(1, round(self._local[key][0] - time.monotonic()))
        if count > limit:
            headers = {"Retry-After": str(reset), "RateLimit-Limit": str(limit), "RateLimit-Remaining": "0"}
            raise Problem(429, "too_many_requests", "Too many requests; slow down.", headers)
        return Allowance(limit, limit - count, reset)

    def _count_locally(self, key: str, seconds: int) -> int:
        now = time.monotonic()
        ends, count = self._local.pop(key, (now + seconds, 0))
        if ends <= now:
            ends, count = now + seconds, 0
        self._local[key] = (ends, count + 1)
        while len(self._local) > _MAX_LOCAL:
            self._local.popitem(last=False)
        return count + 1
