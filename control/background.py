"""Background work that outlives its request: bounded, and awaited when the process stops."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_MAX = 100


class BackgroundTasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work`; return False, without running it, if too much is in progress."""
        if len(self._running) >= _MAX:
            work.close()
            _log.warning("too many background tasks; one was dropped")
            return False
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return True

    def log_failure(self, error: Exception) -> None:
        _log.warning("background task failed: %s", describe(error))

    async def close(self, seconds: float = 1.0) -> None:
        """Give running work a moment to finish, then cancel it."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        await cancel_all(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background task failed with a bug", exc_info=error)
