"""Work that outlives its request: kept, bounded, awaited when the process stops."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_MAX = 100


class BackgroundTasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work`, which handles its own errors; False, and it never runs, when too much is under way."""
        if len(self._running) >= _MAX:
            work.close()
            _LOG.warning("too much background work: a task was dropped")
            return False
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return True

    def log_failure(self, error: Exception) -> None:
        _LOG.warning("background work failed: %s", describe(error))

    async def close(self, seconds: float = 1.0) -> None:
        """Give what runs a moment, then cancel it."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("background work broke", exc_info=error)
