"""Reports final captions to control in numbered batches, at least once (sfu.api.facts)."""

import asyncio
import logging
import secrets
from collections import deque

import aiohttp
import msgspec

from inference.child import Backoff
from inference.metrics import DROPS, FACTS_WAITING
from sfu.api.facts import AnyFact, FactAcknowledgement, FactBatch, encode_batch

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_BATCH = 100
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class FactReporter:
    """Queue of facts towards control; without a URL facts are counted and dropped."""

    def __init__(self, control_url: str, node_secret: str, node: str) -> None:
        self._url = control_url.rstrip("/") + "/internal/v1/facts" if control_url else ""
        self._headers = {"Authorization": f"Bearer {node_secret}", "Content-Type": "application/json"}
        self._node = node
        self._boot = secrets.token_hex(8)
        self._n = 0
        self._waiting: deque[AnyFact] = deque()
        self._wake = asyncio.Event()

    def add(self, fact: AnyFact) -> None:
        """Queue a fact; the oldest is dropped when control has been away for too long."""
        if not self._url:
            DROPS.labels("control", "not_configured").inc()
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            DROPS.labels("control", "queue_full").inc()
        self._waiting.append(fact)
        FACTS_WAITING.set(len(self._waiting))
        self._wake.set()

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        async with aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as session:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    facts = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                    self._n += 1
                    await self._deliver(session, FactBatch(node=self._node, boot=self._boot, n=self._n, facts=facts))
                    FACTS_WAITING.set(len(self._waiting))

    async def _deliver(self, session: aiohttp.ClientSession, batch: FactBatch) -> None:
        """Repeat the batch until control acknowledges it, or refuses it for what it is."""
        body = encode_batch(batch)
        backoff = Backoff(10.0)
        while True:
            await backoff.wait()
            try:
                async with session.post(self._url, data=body) as response:
                    answer = await response.read()
                    if response.status == 200:
                        acknowledged = msgspec.json.decode(answer, type=FactAcknowledgement).acknowledged
                        if acknowledged >= batch.n:
                            return
                        continue
                    if response.status in (400, 413, 422):
                        DROPS.labels("control", "refused").inc(len(batch.facts))
                        logger.error("control refuses facts: %d %s", response.status, answer[:200])
                        return
                    logger.warning("control answers facts with %d; repeating", response.status)
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                logger.debug("control is not to be had for facts: %s", error)
