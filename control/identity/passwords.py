"""Password hashing with Argon2id (RFC 9106), in threads because it takes tens of milliseconds.

The queue is bounded. When it is full, a sign-in is refused with 503 rather than delayed indefinitely.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from control.problem import Problem

T = TypeVar("T")
_WAITING = 64


class Passwords:
    """Password hasher. `threads` limits CPU and memory (19 MiB each)."""

    def __init__(self, threads: int = 2) -> None:
        # OWASP's second recommended setting: m=19 MiB, t=2, p=1.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._limit = threads + _WAITING
        self._busy = 0
        self._decoy = self._hasher.hash("no account has this password")

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether `password` is right. It takes equally long if there is no account (`stored` is None)."""
        matches = await self._run(lambda: self._verify(stored or self._decoy, password))
        return matches and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._busy >= self._limit:
            raise Problem(503, "busy", "Too many sign-ins at once. Try again.", {"Retry-After": "2"})
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._busy -= 1
