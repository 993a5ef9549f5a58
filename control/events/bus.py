"""Where events go. PostgreSQL has kept them already; without Kafka only webhooks take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from control.store.outbox import Event


class BusAway(Exception):
    """The bus takes nothing at all at the moment, for the reason given."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event was not taken.

    One that is `under_way`, or waits for others that are, was not refused, but may have a reason to be told all the
    same. A `dead` one will never be taken: it is kept as a dead letter, and what stands behind it goes on.
    """

    reason: str | None = None
    dead: bool = False
    under_way: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of events, by id. One that is not named is offered again, as soon as what is before it is taken."""

    safe: set[int] = field(default_factory=set)
    refused: dict[int, Refusal] = field(default_factory=dict)

    def add(self, other: "Progress") -> None:
        """Take over what `other` tells."""
        self.safe.update(other.safe)
        self.refused.update(other.refused)


class Bus(Protocol):
    """Takes events at least once, those of one key in order."""

    async def publish(self, events: Sequence[Event]) -> Progress:
        """Return what is known by now, of events offered earlier as well; raises BusAway.

        Of a key's events a first part may be safe, never one that comes after one that is neither safe nor dead.
        """
