"""Delivers final captions to control (sfu.api.fact_queue)."""

import asyncio
import logging
import secrets

import aiohttp

from foundation.failures import describe
from inference.metrics import DROPS, FACTS_WAITING
from sfu.api.fact_queue import FactQueue
from sfu.api.facts import AnyFact, FactBatch, encode_batch

_log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class FactReporter:
    """Queue of facts towards control; without a URL facts are counted and dropped."""

    def __init__(self, control_url: str, node_secret: str, node: str) -> None:
        self._url = control_url.rstrip("/") + "/internal/v1/facts" if control_url else ""
        self._headers = {"Authorization": f"Bearer {node_secret}", "Content-Type": "application/json"}
        self._queue: FactQueue[None] = FactQueue(node, secrets.token_hex(8))
        self._wake = asyncio.Event()

    def add(self, fact: AnyFact) -> None:
        """Queue a fact; the oldest is dropped when control has been away for too long."""
        if not self._url:
            DROPS.labels("control", "not_configured").inc()
            return
        DROPS.labels("control", "queue_full").inc(len(self._queue.put(fact, None)))
        FACTS_WAITING.set(self._queue.waiting)
        self._wake.set()

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        async with aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as session:
            while True:
                await self._wake.wait()
                if (batch := self._queue.batch()) is None:
                    self._wake.clear()
                else:
                    await self._deliver(session, batch)
                    FACTS_WAITING.set(self._queue.waiting)
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
            if first:
                _log.warning("control does not take facts, trying on: %s", self._queue.problem)
        elif not settled.acknowledged:
            DROPS.labels("control", "refused").inc(len(settled.notes))
            _log.error("control gave up %d facts: %s", len(settled.notes), self._queue.problem)
