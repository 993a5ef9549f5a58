"""Where events go. The default hands them to consumers in this process; PostgreSQL has kept them already."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from control.store.outbox import Event

Consumer = Callable[[Event], Awaitable[None]]


class Bus(Protocol):
    """Takes events at least once, those of one key in order."""

    async def publish(self, event: Event) -> None:
        """Return once the event is safe; raises OSError when it is not, and it is offered again later."""


class LocalBus:
    """Consumers in this process, called one after the other; each drops what it has seen by `seq`."""

    def __init__(self, consumers: list[Consumer] | None = None) -> None:
        self._consumers = list(consumers or [])

    async def publish(self, event: Event) -> None:
        for consumer in self._consumers:
            await consumer(event)


class SeveralBuses:
    """Publishes to each in turn; an event is safe when all have it, and may reach the earlier ones again."""

    def __init__(self, buses: list[Bus]) -> None:
        self._buses = buses

    async def publish(self, event: Event) -> None:
        for bus in self._buses:
            await bus.publish(event)
