"""Background tasks: a task that fails is logged, counted and restarted; it never ends its process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from prometheus_client import Counter

from foundation.backoff import Backoff

_log = logging.getLogger(__name__)
_FAILURES = Counter("parley_background_failures_total", "Errors of background tasks that continue", ["task"])
_LONGEST_PAUSE = 30.0


def note_failure(name: str, error: Exception, outcome: str) -> None:
    """Log and count an error of a task that continues; `outcome` says how it continues."""
    _FAILURES.labels(name).inc()
    _log.error("%s: %s", name, outcome, exc_info=error)


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and wait until all have ended, whatever their results."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it returns or this task is cancelled; each time it raises, run it again after a pause.

    `name` appears in the log and the metric. State that `work` keeps between runs stays as the failed run left it. A
    run that lasts longer than the longest pause resets the pauses.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(_LONGEST_PAUSE)
    while True:
        begun = loop.time()
        try:
            await work()
        except Exception as error:
            if loop.time() - begun > _LONGEST_PAUSE:
                backoff.reset()
            pause = backoff.pause()
            note_failure(name, error, f"failed; restarting in {pause:.1f} s")
            await asyncio.sleep(pause)
        else:
            return
