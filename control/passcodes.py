"""Passcodes of meetings: hashed like passwords, and checked once for a crowd that gives the same one.

Hashing takes tens of milliseconds, so three hundred people who come at nine would wait for each other. A check that is
under way is shared, and one that was right is remembered for a while, under a key of this process alone. Wrong ones
are not: guessing stays slow.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict

from control.identity.passwords import Passwords

_MAX_REMEMBERED = 1000
_REMEMBER_SECONDS = 900.0


class Passcodes:
    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}

    async def verify(self, stored: str, passcode: str) -> bool:
        """Whether `passcode` is the one that `stored` is the hash of; raises Problem 503 when too many are checked."""
        pair = hmac.digest(self._key, f"{stored}\n{passcode}".encode(), "sha256")
        until = self._right.get(pair)
        if until is not None and until > time.monotonic():
            return True
        task = self._under_way.get(pair)
        if task is None:
            task = asyncio.create_task(self._passwords.verify(stored, passcode))
            self._under_way[pair] = task
            task.add_done_callback(lambda _: self._under_way.pop(pair, None))
        # Shielded: who hangs up does not take the check away from the others.
        right = await asyncio.shield(task)
        if right:
            self._remember(pair)
        return right

    def _remember(self, pair: bytes) -> None:
        self._right[pair] = time.monotonic() + _REMEMBER_SECONDS
        self._right.move_to_end(pair)
        while len(self._right) > _MAX_REMEMBERED:
            self._right.popitem(last=False)
