"""Supervision of a worker process: it is started, served, and started again when it ends, after ever longer pauses."""

import logging
from typing import Protocol

from foundation.backoff import Backoff
from foundation.failures import describe
from inference.metrics import RESTARTS
from inference.workers.process import WorkerProcess

_log = logging.getLogger(__name__)


class Supervised(Protocol):
    """The user of a worker, which decides when one is wanted, and serves it."""

    async def wanted(self) -> tuple[str, ...]:
        """Wait until a worker is wanted; return its module and arguments for WorkerProcess.start."""
        ...

    async def serve(self, worker: WorkerProcess, backoff: Backoff) -> bool:
        """Serve a worker until it ends; return True if it was stopped on purpose. Successful work resets `backoff`."""
        ...

    def ended(self) -> None:
        """Handle the end of the worker."""
        ...


async def supervise(name: str, what: str, supervised: Supervised) -> None:
    """Keep a worker running for `supervised` until cancelled. `name` is for metrics, `what` for the log."""
    backoff = Backoff()
    while True:
        arguments = await supervised.wanted()
        await backoff.wait()
        try:
            worker = await WorkerProcess.start(*arguments)
        except OSError as error:
            _log.error("cannot start the %s: %s", what, describe(error))
            continue
        try:
            meant = await supervised.serve(worker, backoff)
        finally:
            supervised.ended()
            status = await worker.stop()
        if meant:
            backoff.reset()
            continue
        RESTARTS.labels(name).inc()
        _log.error("the %s ended with status %d; starting it again", what, status)
