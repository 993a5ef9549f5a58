"""Where events go. PostgreSQL has kept them already; without Kafka only webhooks take them (control.webhooks)."""

from collections.abc import Sequence
from typing import Protocol

from control.store.outbox import Event


class Bus(Protocol):
    """Takes events at least once, those of one key in order."""

    async def publish(self, events: Sequence[Event]) -> set[int]:
        """Return the ids of those that are safe now; the others are offered again later.

        Of a key's events a first part may be safe, never one that comes after one that is not.
        """


class SeveralBuses:
    """Publishes to each in turn; an event is safe when all have it, and may reach the earlier ones again."""

    def __init__(self, buses: list[Bus]) -> None:
        self._buses = buses

    async def publish(self, events: Sequence[Event]) -> set[int]:
        for bus in self._buses:
            safe = await bus.publish(events)
            events = [event for event in events if event.id in safe]
        return {event.id for event in events}
