"""An output of a broadcast: delivers encoded media to one target, and keeps its status. It never delays other outputs:
media that it cannot deliver in time are dropped up to the next keyframe, and counted.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar

from foundation.backoff import Backoff
from foundation.broadcasts import OutputKind, OutputOrder, OutputPhase, OutputState
from foundation.media_units import Unit, UnitKind
from recorder import metrics

_MAX_WAITING_BYTES = 16 << 20
_LONGEST_PAUSE = 8.0
_STEADY_SECONDS = 10.0
_RATE_SECONDS = 4.0


class Failed(Exception):
    """Delivery failed; the message can be shown to users and contains no secret."""


class Output(ABC):
    """One target. `zero` is the broadcast's zero on the monotonic clock (ns)."""

    kind: OutputKind
    takes: ClassVar[frozenset[UnitKind]] = frozenset({UnitKind.VIDEO, UnitKind.AUDIO})
    longest_wait_us: ClassVar[int] = 5_000_000
    """The longest time for which units wait."""

    def __init__(self, order: OutputOrder, zero: int) -> None:
        self.order = order
        self._zero = zero
        self._setup: dict[UnitKind, Unit] = {}
        self._waiting: deque[Unit] = deque()
        self._bytes = 0
        self._skips = True
        self._wake = asyncio.Event()
        self._phase: OutputPhase = "connecting"
        self._since = time.time_ns() // 1_000_000
        self._error = ""
        self._attempts = 0
        self._dropped = 0
        self._delay_ms = 0
        self._sent: deque[tuple[float, int]] = deque()

    def put(self, unit: Unit) -> None:
        """Queue a unit."""
        if unit.kind in {UnitKind.VIDEO_SETUP, UnitKind.AUDIO_SETUP}:
            self._setup[unit.kind] = unit
            return
        if self._phase != "live" or unit.kind not in self.takes:
            return
        if self._waiting and self._is_late(unit):
            self._drop()
        if self._skips and not self._can_begin(unit):
            self._count_dropped(unit)
            return
        self._skips = False
        self._waiting.append(unit)
        self._bytes += len(unit.data)
        self._wake.set()

    def state(self) -> OutputState:
        """Return the output's status."""
        now = time.monotonic()
        while self._sent and self._sent[0][0] < now - _RATE_SECONDS:
            self._sent.popleft()
        return OutputState(
            phase=self._phase,
            since=self._since,
            bits_per_second=round(8 * sum(size for _, size in self._sent) / _RATE_SECONDS),
            dropped=self._dropped,
            delay_ms=self._delay_ms if self._phase == "live" else 0,
            attempts=self._attempts,
            error=self._error,
        )

    async def run(self) -> None:
        """Deliver media until cancelled, and try again after each failure."""
        backoff = Backoff(_LONGEST_PAUSE, 0.5)
        while True:
            self._enter("connecting")
            begun = time.monotonic()
            try:
                await self.hand_over()
            except (Failed, OSError, TimeoutError, ValueError) as error:
                self._error = _sentence(error)
                self._attempts += 1
                metrics.BROADCAST_FAILURES.labels(self.kind).inc()
            if time.monotonic() - begun > _STEADY_SECONDS:
                backoff.reset()
            self._enter("retrying")
            await backoff.wait()

    @abstractmethod
    async def hand_over(self) -> None:
        """Deliver the units that `next` returns; raises Failed, OSError, TimeoutError or ValueError."""

    @abstractmethod
    async def forget(self) -> None:
        """Delete what the output has stored, some time after its end."""

    def is_live(self) -> None:
        """Record that the target accepts media; units start with the next keyframe."""
        self._waiting.clear()
        self._bytes, self._skips, self._error = 0, True, ""
        self._enter("live")

    async def next(self) -> Unit:
        """Return the next unit."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        unit = self._waiting.popleft()
        self._bytes -= len(unit.data)
        return unit

    def handed(self, size: int, us: int) -> None:
        """Count bytes that the target accepted; the newest unit in them was captured at `us`."""
        self._sent.append((time.monotonic(), size))
        self._delay_ms = max(0, (time.monotonic_ns() - self._zero) // 1_000_000 - us // 1000)
        metrics.BROADCAST_BYTES.labels(self.kind).inc(size)

    def lost(self, count: int) -> None:
        """Count packets that were given up."""
        if count:
            self._dropped += count
            metrics.BROADCAST_DROPPED.labels(self.kind).inc(count)

    def _enter(self, phase: OutputPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, time.time_ns() // 1_000_000

    def _can_begin(self, unit: Unit) -> bool:
        """Return whether delivery can begin with a unit: with pictures, only with a keyframe."""
        return UnitKind.VIDEO not in self.takes or (unit.kind is UnitKind.VIDEO and unit.keyframe)

    def _is_late(self, unit: Unit) -> bool:
        return unit.us - self._waiting[0].us > self.longest_wait_us or self._bytes > _MAX_WAITING_BYTES

    def _drop(self) -> None:
        for unit in self._waiting:
            self._count_dropped(unit)
        self._waiting.clear()
        self._bytes, self._skips = 0, True

    def _count_dropped(self, unit: Unit) -> None:
        if unit.kind is not UnitKind.AUDIO and self._sent:  # nothing is missing before the first unit
            self._dropped += 1
            metrics.BROADCAST_DROPPED.labels(self.kind).inc()


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "The target does not answer in time."
    if isinstance(error, ConnectionError | asyncio.IncompleteReadError):
        return "The target closed the connection."
    return str(error)[:300] or type(error).__name__
