"""Delivers facts to control in numbered batches, in order and at least once, for as long as control is away."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Iterable

from sfu.api.facts import AnyFact, FactBatch
from sfu.server.control_client import ControlClient, ControlUnavailable, MeetingUnknown

MAX_WAITING = 20_000
MAX_BATCH = 200
FIRST_BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 5.0

_log = logging.getLogger(__name__)


class FactsReporter:
    """Holds facts until control has acknowledged them. Over MAX_WAITING the oldest undelivered ones are lost."""

    def __init__(self, control: ControlClient, node: str) -> None:
        self._control = control
        self._node = node
        self._boot = secrets.token_hex(8)
        self._waiting: deque[AnyFact] = deque()
        self._in_flight: FactBatch | None = None
        self._n = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Facts not yet acknowledged."""
        return len(self._waiting) + (len(self._in_flight.facts) if self._in_flight else 0)

    def put(self, facts: Iterable[AnyFact]) -> None:
        """Queue facts."""
        self._waiting.extend(facts)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            await self._wake.wait()
            try:
                await self.deliver_one()
                backoff = FIRST_BACKOFF_SECONDS
            except (ControlUnavailable, MeetingUnknown) as error:
                if backoff == FIRST_BACKOFF_SECONDS:
                    _log.warning("control takes no facts, %d waiting: %s", self.waiting, error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def deliver_one(self) -> None:
        """Deliver the batch in flight, or make the next one; raises ControlUnavailable."""
        if self._in_flight is None:
            facts = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            if not facts:
                self._wake.clear()
                self._idle.set()
                return
            self._n += 1
            self._in_flight = FactBatch(node=self._node, boot=self._boot, n=self._n, facts=facts)
        acknowledged = await self._control.report(self._in_flight)
        if acknowledged < self._in_flight.n:
            raise ControlUnavailable(f"batch {self._in_flight.n} not acknowledged")
        self._in_flight = None

    async def drained(self, seconds: float) -> None:
        """Wait until everything is delivered, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d facts are left undelivered", self.waiting)
