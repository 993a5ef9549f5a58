"""Rationing among rooms while a node is overloaded: the largest rooms lose video first, recorded ones last."""

from collections.abc import Iterable

from sfu.machines.shedding import Shed
from sfu.peers.context import Context
from sfu.rooms.adaptation import Restriction
from sfu.rooms.live_room import LiveRoom

_SPARING_PACE = 3


def ration(context: Context, rooms: Iterable[LiveRoom], shed: Shed, now: int) -> list[LiveRoom]:
    """Apply each room's share of the shedding; return the rooms whose share has changed."""
    context.pace = _SPARING_PACE if shed.sparing else 1
    context.engine.pace_feedback(context.pace)
    ordered = sorted(rooms, key=lambda room: (bool(room.recorded), -len(room.participants), room.opened_at))
    everyone = sum(len(room.participants) for room in ordered)
    before = 0
    changed = []
    for room in ordered:
        is_changed = room.adaptation.restrict(
            Restriction(
                unread=before < shed.unread * everyone,
                small=before < shed.small * everyone,
                sound_only=before < shed.sound_only * everyone,
                screens=shed.screens,
            ),
            now,
        )
        if is_changed:
            changed.append(room)
        before += len(room.participants)
    return changed
