"""Readiness: every store and part that control works with is asked at once, and none for longer than a probe waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 0.8  # probes wait for a second
_LATE = "does not answer in time"


class Check(NamedTuple):
    """One thing to ask: `ask` returns why it cannot be used, None when it can; what it raises is a reason as well.

    Without what is `essential` nothing can be served. `ask` has no bound of its own to keep.
    """

    name: str
    ask: Callable[[], Awaitable[str | None]]
    essential: bool = False


class Standing(NamedTuple):
    """`down` names what cannot be used, with the reason: something essential, or what can be done without."""

    status: Literal["ok", "degraded", "down"]
    down: dict[str, str]


class Readiness:
    """Asks by `checks`. Of each at most one question is under way: one that hangs piles nothing up."""

    def __init__(self, *checks: Check) -> None:
        self._checks = checks
        self._asking: dict[str, asyncio.Task[str | None]] = {}

    async def look(self) -> Standing:
        """Return how things stand, within a second."""
        asked = [(check, self._ask(check)) for check in self._checks]
        await asyncio.wait([task for _, task in asked], timeout=_ANSWER_SECONDS)
        found = {check.name: _reason(check, task) for check, task in asked}
        down = {name: reason for name, reason in found.items() if reason is not None}
        if any(check.essential and check.name in down for check in self._checks):
            return Standing("down", down)
        return Standing("degraded" if down else "ok", down)

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        return "was not asked"
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, OSError):
        _LOG.error("asking %s failed", check.name, exc_info=error)
    return describe(error)
