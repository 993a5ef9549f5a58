"""Passcodes of meetings: hashed like passwords, and verified once if many people give the same one.

Hashing takes tens of milliseconds, so three hundred people who join at once would wait for each other. A check in
progress is shared, and a success is remembered for a while under a key that only this process has. Failures are not
remembered, so guessing stays slow.
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
        """Return whether `stored` is the hash of `passcode`; raises Problem 503 if too many are being checked."""
        pair = hmac.digest(self._key, f"{stored}\n{passcode}".encode(), "sha256")
        until = self._right.get(pair)
        if until is not None and until > time.monotonic():
            return True
        task = self._under_way.get(pair)
        if task is None:
            task = asyncio.create_task(self._passwords.verify(stored, passcode))
            self._under_way[pair] = task
            task.add_done_callback(lambda _: self._under_way.pop(pair, None))
        # Shielded, so that a caller who disconnects does not cancel the check for the others.
        right = await asyncio.shield(task)
        if right:
            self._remember(pair)
        return right

    def _remember(self, pair: bytes) -> None:
        self._right[pair] = time.monotonic() + _REMEMBER_SECONDS
        self._right.move_to_end(pair)
        while len(self._right) > _MAX_REMEMBERED:
            self._right.popitem(last=False)
