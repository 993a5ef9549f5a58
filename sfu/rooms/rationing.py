"""Distribution of shedding over the rooms of an overloaded node: large rooms lose video first, recorded ones last.

The last room that is affected loses only part of its video.
"""

from collections.abc import Iterable

from sfu.machines.shedding import Shed
from sfu.peers.context import Context
from sfu.rooms.left_out import Restriction
from sfu.rooms.live_room import LiveRoom

_SPARING_PACE, _SPARING_FEEDBACK_PACE = 5, 3


def ration(context: Context, rooms: Iterable[LiveRoom], shed: Shed, now: int) -> list[LiveRoom]:
    """Apply each room's share of the shedding; return the rooms whose share has changed."""
    context.pace = _SPARING_PACE if shed.sparing else 1
    context.engine.spare_silence(shed.silence)
    context.engine.pace_feedback(_SPARING_FEEDBACK_PACE if shed.sparing else 1)
    ordered = sorted(rooms, key=lambda room: (bool(room.recorded), -len(room.participants), room.opened_at))
    everyone = sum(len(room.participants) for room in ordered)
    before = 0
    changed = []
    for room in ordered:
        people = len(room.participants)
        unread, slow, speaker_only, small, sound_only = (
            max(0.0, min(1.0, (share * everyone - before) / max(people, 1)))
            for share in (shed.unread, shed.slow, shed.speaker_only, shed.small, shed.sound_only)
        )
        restriction = Restriction(unread, slow, speaker_only, small, sound_only, shed.screens)
        if room.adaptation.restrict(restriction, now):
            changed.append(room)
        before += people
    return changed
