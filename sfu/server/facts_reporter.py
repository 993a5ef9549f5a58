"""Delivers the sfu's facts to control for as long as control is away (sfu.api.fact_queue)."""

import asyncio
import logging
import secrets
from collections.abc import Iterable

from sfu.api.fact_queue import FactQueue
from sfu.api.facts import AnyFact
from sfu.server.control_client import ControlClient, ControlUnavailable

_log = logging.getLogger(__name__)


class FactsReporter:
    """Holds facts until control has acknowledged them; `lost` counts those given up or refused."""

    def __init__(self, control: ControlClient, node: str, boot: str | None = None) -> None:
        self._control = control
        self._queue: FactQueue[None] = FactQueue(node, boot or secrets.token_hex(8))
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Facts not yet acknowledged."""
        return self._queue.waiting

    def put(self, facts: Iterable[AnyFact]) -> None:
        """Queue facts."""
        for fact in facts:
            self.lost += len(self._queue.put(fact, None))
        if self._queue.waiting:
            self._idle.clear()
            self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._wake.wait()
            await self.deliver_one()
            await asyncio.sleep(self._queue.delay)

    async def deliver_one(self) -> None:
        """Try the batch in flight again, or the next one."""
        batch = self._queue.batch()
        if batch is None:
            self._wake.clear()
            self._idle.set()
            return
        first = not self._queue.delay
        try:
            settled = self._queue.answered(*await self._control.report(batch))
        except ControlUnavailable as error:
            settled = None
            self._queue.unanswered(str(error))
        if settled is None:
            if first:
                _log.warning("control takes no facts, %d waiting: %s", self.waiting, self._queue.problem)
        elif not settled.acknowledged:
            self.lost += len(settled.notes)
            _log.error("control gave up %d facts: %s", len(settled.notes), self._queue.problem)

    async def drained(self, seconds: float) -> None:
        """Wait until everything is delivered, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d facts are left undelivered", self.waiting)
