"""Runs a dump's allocations through the allocator again: the same input must bring the same grants.

Allocators remember; what they decided before the dump begins is unknown, so a room that lived longer than its recorder
keeps may differ in the first seconds.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from sfu.machines.allocator import Allocator, Demand
from sfu.rooms.flight_notes import Allocated
from sfu.rooms.flight_recorder import Entry, Kind


class Replayed(NamedTuple):
    """One allocation: the layer granted per track (-1: paused) as recorded, and as the machines decide now."""

    at: int
    who: str
    recorded: dict[str, int]
    replayed: dict[str, int]


def replay(entries: Iterable[Entry]) -> list[Replayed]:
    """Return every allocation of a dump with its replay; raises ValueError for entries that cannot be read."""
    allocators: dict[str, Allocator[str]] = {}
    replayed = []
    for entry in entries:
        if entry.kind is Kind.ALLOCATION:
            asked = msgspec.json.decode(entry.data, type=Allocated)
            allocator = allocators.setdefault(entry.who, Allocator())
            demands = [Demand(*demand) for demand in asked.demands]
            outcome = allocator.allocate(asked.estimate, asked.audio, demands, entry.at)
            granted = {track: grant.layer for track, grant in outcome.grants.items()}
            replayed.append(Replayed(entry.at, entry.who, asked.grants, granted))
    return replayed
