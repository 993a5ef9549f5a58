"""Readiness: checks all dependencies of control concurrently, none of them for longer than a probe waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 0.8  # probes wait for a second
_LATE = "does not answer in time"


class Check(NamedTuple):
    """A check of one dependency: `ask` returns why it is unusable, or None if it works. Exceptions count as failures.

    Without an `essential` dependency, nothing can be served. `ask` needs no timeout of its own.
    """

    name: str
    ask: Callable[[], Awaitable[str | None]]
    essential: bool = False


class Standing(NamedTuple):
    """Result of the checks: `down` gives the reason by unusable dependency.

    `status` is down if one of them is essential, else degraded.
    """

    status: Literal["ok", "degraded", "down"]
    down: dict[str, str]


class Readiness:
    """Runner of `checks`. Each runs at most once at a time, so that a hanging one does not accumulate."""

    def __init__(self, *checks: Check) -> None:
        self._checks = checks
        self._asking: dict[str, asyncio.Task[str | None]] = {}

    async def look(self) -> Standing:
        """Return the result of all checks, within a second."""
        asked = [(check, self._ask(check)) for check in self._checks]
        await asyncio.wait([task for _, task in asked], timeout=_ANSWER_SECONDS)
        found = {check.name: _reason(check, task) for check, task in asked}
        down = {name: reason for name, reason in found.items() if reason is not None}
        if any(check.essential and check.name in down for check in self._checks):
            return Standing("down", down)
        return Standing("degraded" if down else "ok", down)

    async def close(self) -> None:
        await cancel_all(self._asking.values())

    def _ask(self, check: Check) -> asyncio.Task[str | None]:
        if check.name not in self._asking:
            task = asyncio.ensure_future(check.ask())
            self._asking[check.name] = task
            task.add_done_callback(lambda _: self._asking.pop(check.name))
        return self._asking[check.name]


def _reason(check: Check, task: asyncio.Task[str | None]) -> str | None:
    if not task.done():
        return _LATE
    if task.cancelled():
        return "was not checked"
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, OSError):
        _log.error("the readiness check of %s failed", check.name, exc_info=error)
    return describe(error)
