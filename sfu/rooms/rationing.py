"""Rationing among rooms while a node is short of time: the largest give up first, recorded ones last."""

from collections.abc import Iterable

from sfu.machines.shedding import Shed
from sfu.peers.context import Context
from sfu.rooms.adaptation import Restriction
from sfu.rooms.room import Room

_SPARING_PACE = 3


def ration(context: Context, rooms: Iterable[Room], shed: Shed, now: int) -> None:
    """Have each room do without what it is to do without now."""
    context.pace = _SPARING_PACE if shed.sparing else 1
    ordered = sorted(rooms, key=lambda room: (bool(room.taps.recorded), -len(room.participants), room.opened_at))
    everyone = sum(len(room.participants) for room in ordered)
    before = 0
    for room in ordered:
        room.adaptation.restrict(
            Restriction(
                unread=shed.sparing,
                small=before < shed.small * everyone,
                sound_only=before < shed.sound_only * everyone,
                screens=shed.screens,
            ),
            now,
        )
        before += len(room.participants)
