"""Report facts to control in numbered batches until each is acknowledged; capture never waits for it.

Facts wait in memory, at most `MAX_WAITING`; beyond that the oldest are given up and counted, since a rescan of the
files finds again what they said. A batch is repeated with back-off until control answers.
"""

import asyncio
import logging
import secrets
from collections import deque

import aiohttp
import msgspec

from recorder import metrics
from sfu.api.facts import AnyFact, FactAcknowledgement, FactBatch, encode_batch

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000
_BATCH = 100
_FIRST_DELAY = 0.25
_MAX_DELAY = 15.0


class FactReporter:
    """Reports to `{control_url}/internal/v1/facts`; without a URL facts are dropped at once."""

    def __init__(self, control_url: str, node_secret: str, node: str) -> None:
        self._url = f"{control_url.rstrip('/')}/internal/v1/facts" if control_url else ""
        self._headers = {"Authorization": f"Bearer {node_secret}", "Content-Type": "application/json"}
        self._node = node
        self._boot = secrets.token_hex(8)
        self._waiting: deque[tuple[AnyFact, asyncio.Future[bool]]] = deque()
        self._some = asyncio.Event()

    def report(self, fact: AnyFact) -> asyncio.Future[bool]:
        """Queue a fact. The future tells whether it was acknowledged; nobody has to wait for it."""
        delivered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._url:
            delivered.set_result(False)
            return delivered
        if len(self._waiting) >= MAX_WAITING:
            given_up = self._waiting.popleft()[1]
            if not given_up.done():
                given_up.set_result(False)
            metrics.FACTS.labels("overflowed").inc()
        self._waiting.append((fact, delivered))
        self._some.set()
        return delivered

    async def run(self) -> None:
        """Deliver until cancelled."""
        if not self._url:
            return
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
            n = 0
            while True:
                await self._some.wait()
                n += 1
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                if not self._waiting:
                    self._some.clear()
                await self._deliver(session, n, [fact for fact, _ in batch])
                for _, delivered in batch:
                    if not delivered.done():  # whoever waited may be cancelled
                        delivered.set_result(True)

    async def _deliver(self, session: aiohttp.ClientSession, n: int, facts: list[AnyFact]) -> None:
        body = encode_batch(FactBatch(node=self._node, boot=self._boot, n=n, facts=facts))
        delay = _FIRST_DELAY
        while True:
            problem = await self._post(session, n, body)
            if not problem:
                metrics.FACTS.labels("acknowledged").inc(len(facts))
                return
            metrics.FACTS.labels("retried").inc(len(facts))
            if delay == _FIRST_DELAY:
                logger.warning("control does not take facts, trying on: %s", problem)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _MAX_DELAY)

    async def _post(self, session: aiohttp.ClientSession, n: int, body: bytes) -> str:
        """POST a batch once; returns what went wrong, "" if nothing."""
        try:
            async with session.post(self._url, data=body) as response:
                if response.status != 200:
                    return f"HTTP status {response.status}"
                acknowledged = msgspec.json.decode(await response.read(), type=FactAcknowledgement).acknowledged
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return "" if acknowledged >= n else f"acknowledged {acknowledged} instead of {n}"
