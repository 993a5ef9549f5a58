"""Delivers a part's facts to control (sfu.api.fact_queue). Nothing waits for delivery, and control may be
unreachable.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

import aiohttp

from foundation import control_outage
from foundation.answer_body import read_body
from foundation.failures import describe
from foundation.part_tls import PartTls, part_session
from sfu.api.fact_queue import MAX_WAITING, FactQueue
from sfu.api.facts import AnyFact, FactBatch, encode_batch

_log = logging.getLogger(__name__)

Delivery = asyncio.Future[bool]
Count = Callable[[str, int], None]
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_ANSWER_BYTES = 1 << 16


class FactReporter:
    """Reports to `{control_url}/internal/v1/facts`; without a URL facts are dropped at once.

    `count` is called with an outcome and a number of facts. Outcomes are `acknowledged`, `retried`, `refused`,
    `overflowed` (dropped from a full queue) and `dropped` (there is no URL). `boot` distinguishes the runs of a node.
    """

    def __init__(
        self,
        control_url: str,
        node_secret: str,
        node: str,
        *,
        count: Count,
        boot: str = "",
        tls: PartTls | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._url = f"{control_url.rstrip('/')}/internal/v1/facts" if control_url else ""
        self._access = (node_secret, tls)
        self._queue: FactQueue[Delivery] = FactQueue(node, boot or secrets.token_hex(8), max_waiting)
        self._count = count
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """The number of facts that are not acknowledged yet."""
        return self._queue.waiting

    def report(self, fact: AnyFact) -> Delivery:
        """Queue a fact. The future, which need not be awaited, tells whether the fact was acknowledged."""
        delivered: Delivery = asyncio.get_running_loop().create_future()
        if not self._url:
            self._settle([delivered], "dropped")
            return delivered
        self._settle(self._queue.put(fact, delivered), "overflowed")
        self._idle.clear()
        self._wake.set()
        return delivered

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with part_session(*self._access, _TIMEOUT) as session:
            while True:
                await self._wake.wait()
                if (batch := self._queue.batch()) is None:
                    self._wake.clear()
                    self._idle.set()
                else:
                    await self._deliver(session, batch)
                    await asyncio.sleep(self._queue.delay)

    async def drained(self, seconds: float) -> None:
        """Wait until everything is delivered, for at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d facts were not delivered", self.waiting)

    async def _deliver(self, session: aiohttp.ClientSession, batch: FactBatch) -> None:
        try:
            async with session.post(self._url, data=encode_batch(batch)) as response:
                settled = self._queue.answered(response.status, await read_body(response, _MAX_ANSWER_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            settled = None
            self._queue.unanswered(describe(error))
        if settled is None:
            self._count("retried", len(batch.facts))
            control_outage.note("facts", self._queue.problem)
            return
        control_outage.note("facts", None)
        if settled.acknowledged:
            self._settle(settled.notes, "acknowledged")
        else:
            _log.error("control refused %d facts: %s", len(settled.notes), self._queue.problem)
            self._settle(settled.notes, "refused")

    def _settle(self, deliveries: list[Delivery], outcome: str) -> None:
        if deliveries:
            self._count(outcome, len(deliveries))
        for delivered in deliveries:
            if not delivered.done():  # a caller that waits may be cancelled
                delivered.set_result(outcome == "acknowledged")
