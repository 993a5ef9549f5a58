"""Assignment of tracks to the slots of a subscribe peer, as a pure function.

A track keeps its slot for as long as it is wanted, so that nothing flickers. A new track goes next to its participant's
other medium (audio slot k and video slot k are played in sync), else to a free slot whose neighbour is free, else to
any free slot. If there is none, it stays unplaced: the caller adds slots (video) or leaves the track out (audio beyond
the loudest).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Wish(NamedTuple):
    """A track that a subscriber should get, and its participant."""

    track: str
    participant: str


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """`slots` is the content of every slot by number, None if empty; `unplaced` lists the tracks without a slot, in
    order.
    """

    slots: tuple[Wish | None, ...]
    unplaced: tuple[Wish, ...]


def assign(held: Sequence[Wish | None], wishes: Sequence[Wish], neighbours: Mapping[int, str]) -> SlotAssignment:
    """Return the slots of `wishes` (most important first), given what each slot holds now.

    `neighbours` maps a slot number to the participant in the other medium's slot of that number.
    """
    wanted = set(wishes[: len(held)])
    slots: list[Wish | None] = [wish if wish in wanted else None for wish in held]
    present = {wish for wish in slots if wish is not None}
    free = [number for number, wish in enumerate(slots) if wish is None]
    unplaced: list[Wish] = []
    for wish in wishes:
        if wish in present:
            continue
        if not free:
            unplaced.append(wish)
            continue
        number = _best(free, wish, neighbours)
        free.remove(number)
        slots[number] = wish
    return SlotAssignment(tuple(slots), tuple(unplaced))


def _best(free: Sequence[int], wish: Wish, neighbours: Mapping[int, str]) -> int:
    beside = [number for number in free if neighbours.get(number) == wish.participant]
    alone = [number for number in free if number not in neighbours]
    return (beside or alone or free)[0]
