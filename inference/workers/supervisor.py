"""Keeps a worker process alive: starts it, serves it, and starts another when it ends, ever more slowly."""

import logging
from typing import Protocol

from foundation.backoff import Backoff
from foundation.failures import describe
from inference.metrics import RESTARTS
from inference.workers.process import Child

logger = logging.getLogger(__name__)


class Keeper(Protocol):
    """What a worker is kept for."""

    async def wanted(self) -> tuple[str, ...]:
        """Wait until a worker is wanted; return its module and arguments, as Child.start takes them."""
        ...

    async def serve(self, child: Child, backoff: Backoff) -> bool:
        """Serve a worker until it ends; True when it was let go on purpose. Work that succeeds resets `backoff`."""
        ...

    def ended(self) -> None:
        """The worker that was served is gone."""
        ...


async def keep_alive(name: str, what: str, keeper: Keeper) -> None:
    """Have a worker for `keeper` until cancelled. `name` is for metrics, `what` for the log."""
    backoff = Backoff()
    while True:
        arguments = await keeper.wanted()
        await backoff.wait()
        try:
            child = await Child.start(*arguments)
        except OSError as error:
            logger.error("cannot start the %s: %s", what, describe(error))
            continue
        try:
            meant = await keeper.serve(child, backoff)
        finally:
            keeper.ended()
            status = await child.stop()
        if meant:
            backoff.reset()
            continue
        RESTARTS.labels(name).inc()
        logger.error("the %s ended with status %d; starting it again", what, status)
