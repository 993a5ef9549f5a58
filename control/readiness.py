"""Readiness: checks all dependencies of control concurrently, none of them for longer than a probe waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from prometheus_client import Gauge

from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 0.8  # probes wait for a second
_WATCH_SECONDS = 5.0
_LATE = "does not answer in time"
_DOWN = Gauge("parley_control_dependency_down", "1 while control cannot use a dependency", ["dependency"])


class Check(NamedTuple):
    """A check of one dependency: `ask` returns why it is unusable, or None if it works. Exceptions count as failures.

    Without an `essential` dependency, nothing can be served. `ask` needs no timeout of its own. Outages of a `logged`
    dependency are logged by whoever uses it.
    """

    name: str
    ask: Callable[[], Awaitable[str | None]]
    essential: bool = False
    logged: bool = False


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
        self._down_since: dict[str, float] = {}
        self._late: set[str] = set()

    async def look(self) -> Standing:
        """Return the result of all checks, within a second."""
        asked = [(check, self._ask(check)) for check in self._checks]
        await asyncio.wait([task for _, task in asked], timeout=_ANSWER_SECONDS)
        found = {check.name: _reason(check, task) for check, task in asked}
        down = {name: reason for name, reason in found.items() if reason is not None}
        if any(check.essential and check.name in down for check in self._checks):
            return Standing("down", down)
        return Standing("degraded" if down else "ok", down)

    async def watch(self) -> None:
        """Keep the gauges and the log up to date until cancelled."""
        for check in self._checks:
            _DOWN.labels(check.name).set(0)
        while True:
            self._note((await self.look()).down, asyncio.get_running_loop().time())
            await asyncio.sleep(_WATCH_SECONDS)

    def _note(self, down: dict[str, str], now: float) -> None:
        """Log what has changed: one line for all dependencies that fail for the same reason, such as one store.

        One late answer is no outage: a machine that is busy for a second causes it.
        """
        late = {name for name, reason in down.items() if reason == _LATE}
        down = {name: reason for name, reason in down.items() if name not in late - self._late - set(self._down_since)}
        self._late = late
        failing: dict[str, list[str]] = {}
        working: list[str] = []
        for check in self._checks:
            _DOWN.labels(check.name).set(check.name in down)
            if check.logged:
                continue
            if check.name in down and check.name not in self._down_since:
                self._down_since[check.name] = now
                failing.setdefault(down[check.name], []).append(check.name)
            elif check.name not in down and check.name in self._down_since:
                working.append(f"{check.name} after {now - self._down_since.pop(check.name):.0f} s")
        for reason, names in failing.items():
            _log.warning("unavailable: %s: %s", " and ".join(names), reason)
        if working:
            _log.warning("available again: %s", " and ".join(working))

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
    if isinstance(error, TimeoutError):
        return _LATE
    if not isinstance(error, OSError):
        _log.error("the readiness check of %s failed", check.name, exc_info=error)
    return describe(error)
