"""Replay of a dump's estimators and allocators: the same input must give the same estimates and grants.

Both depend on earlier input. An estimator whose beginning is no longer in the dump cannot be replayed. Allocators start
without history, so in a room that is older than its dump the first seconds may differ.
"""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from sfu.flight import noted_estimator
from sfu.flight.noted_estimator import Began
from sfu.flight.notes import Allocated
from sfu.flight.recorder import Entry, Kind
from sfu.machines.congestion.estimator import Estimator
from sfu.machines.layers.layer_allocator import Demand, LayerAllocator

Outcome = TypeVar("Outcome")


class Replayed(NamedTuple, Generic[Outcome]):
    """A decision about a participant at a time in ns, as recorded and as replayed."""

    at: int
    who: str
    recorded: Outcome
    replayed: Outcome


class Replay(NamedTuple):
    """Decisions of a dump. `grants` are layers by track (-1: paused), `estimates` are in bits/s."""

    grants: list[Replayed[dict[str, int]]]
    estimates: list[Replayed[float]]


def replay(entries: Iterable[Entry]) -> Replay:
    """Return every decision of a dump with its replay; raises ValueError for entries that cannot be read."""
    allocators: dict[str, LayerAllocator[str]] = {}
    estimators: dict[str, Estimator] = {}
    done = Replay([], [])
    for entry in entries:
        if entry.kind is Kind.ALLOCATION:
            done.grants.append(_allocate(entry, allocators.setdefault(entry.who, LayerAllocator())))
        elif entry.kind is Kind.ESTIMATOR:
            taken = noted_estimator.read(entry.data)
            if isinstance(taken, Began):
                estimators[entry.who] = Estimator()
            estimator = estimators.get(entry.who)
            if estimator is not None:
                taken.feed(estimator)
                done.estimates.append(Replayed(taken.at, entry.who, taken.rate, estimator.rate))
    return done


def _allocate(entry: Entry, allocator: LayerAllocator[str]) -> Replayed[dict[str, int]]:
    asked = msgspec.json.decode(entry.data, type=Allocated)
    demands = [Demand(*demand) for demand in asked.demands]
    outcome = allocator.allocate(asked.estimate, asked.audio, demands, entry.at)
    granted = {track: grant.layer for track, grant in outcome.grants.items()}
    return Replayed(entry.at, entry.who, asked.grants, granted)
