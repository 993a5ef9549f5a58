"""Delivers the recorder's facts to control (sfu.api.fact_queue); capture never waits for it.

What control never heard, a rescan of the files finds again.
"""

import asyncio
import logging
import secrets

import aiohttp

from foundation.failures import describe
from recorder import metrics
from sfu.api.fact_queue import MAX_WAITING, FactQueue
from sfu.api.facts import AnyFact, FactBatch, encode_batch

_log = logging.getLogger(__name__)

Delivery = asyncio.Future[bool]
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class FactReporter:
    """Reports to `{control_url}/internal/v1/facts`; without a URL facts are dropped at once."""

    def __init__(self, control_url: str, node_secret: str, node: str, max_waiting: int = MAX_WAITING) -> None:
        self._url = f"{control_url.rstrip('/')}/internal/v1/facts" if control_url else ""
        self._headers = {"Authorization": f"Bearer {node_secret}", "Content-Type": "application/json"}
        self._queue: FactQueue[Delivery] = FactQueue(node, secrets.token_hex(8), max_waiting)
        self._some = asyncio.Event()

    def report(self, fact: AnyFact) -> Delivery:
        """Queue a fact. The future tells whether it was acknowledged; nobody has to wait for it."""
        delivered: Delivery = asyncio.get_running_loop().create_future()
        if not self._url:
            delivered.set_result(False)
            return delivered
        given_up = self._queue.put(fact, delivered)
        metrics.FACTS.labels("overflowed").inc(len(given_up))
        _tell(given_up, False)
        self._some.set()
        return delivered

    async def run(self) -> None:
        """Deliver until cancelled."""
        if not self._url:
            return
        async with aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as session:
            while True:
                await self._some.wait()
                if (batch := self._queue.batch()) is None:
                    self._some.clear()
                else:
                    await self._deliver(session, batch)
                    await asyncio.sleep(self._queue.delay)

    async def _deliver(self, session: aiohttp.ClientSession, batch: FactBatch) -> None:
        first = not self._queue.delay
        try:
            async with session.post(self._url, data=encode_batch(batch)) as response:
                settled = self._queue.answered(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            settled = None
            self._queue.unanswered(describe(error))
        if settled is None:
            metrics.FACTS.labels("retried").inc(len(batch.facts))
            if first:
                _log.warning("control does not take facts, trying on: %s", self._queue.problem)
            return
        if not settled.acknowledged:
            _log.error("control gave up %d facts: %s", len(settled.notes), self._queue.problem)
        metrics.FACTS.labels("acknowledged" if settled.acknowledged else "refused").inc(len(settled.notes))
        _tell(settled.notes, settled.acknowledged)


def _tell(deliveries: list[Delivery], acknowledged: bool) -> None:
    for delivered in deliveries:
        if not delivered.done():  # whoever waited may be cancelled
            delivered.set_result(acknowledged)
