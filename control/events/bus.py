"""Interface of an event bus. PostgreSQL stores the events; without Kafka, only webhooks receive them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from control.store.outbox import Event


class BusAway(Exception):
    """The bus currently accepts nothing, for the given reason."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why an event was not accepted.

    An event `under_way`, or waiting behind one, was not refused, but may have a reason worth reporting. A `dead` event
    will never be accepted: it is kept as a dead letter, and later events continue.
    """

    reason: str | None = None
    dead: bool = False
    under_way: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Outcomes by event id. An event without an outcome is offered again once those before it are accepted."""

    safe: set[int] = field(default_factory=set)
    refused: dict[int, Refusal] = field(default_factory=dict)

    def add(self, other: "Progress") -> None:
        """Merge `other`, which is later: an event that was under way, or refused, may be safe by now."""
        self.safe.update(other.safe)
        self.refused.update(other.refused)
        for event in self.refused.keys() & self.safe:
            del self.refused[event]


class Bus(Protocol):
    """Event bus with at-least-once delivery, in order for each key."""

    async def publish(self, events: Sequence[Event]) -> Progress:
        """Return the outcomes known so far, including those of events offered earlier; raises BusAway.

        An event is safe only if all earlier ones of its key are safe or dead.
        """


class RemoteBus(Bus, Protocol):
    """Bus over a connection of its own, which opens at the first event."""

    async def trouble(self) -> str | None:
        """Return why the bus cannot be reached now; None if it can."""

    async def close(self) -> None:
        """Close the connection."""
