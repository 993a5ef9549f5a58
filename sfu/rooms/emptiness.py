"""Emptiness of rooms: everyone has left, or only participants are there who do not keep a room open."""

from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant

_DEPENDENT = frozenset({"agent", "egress"})
_DEPARTURE_NS, _EMPTY_NS = 20_000_000_000, 300_000_000_000
"""Waits of agents and recorders of applications for people who may return, and for the first, as with LiveKit."""


def is_person(participant: Participant) -> bool:
    """Return whether a participant is neither an agent or recorder of an application, nor on plain transports alone."""
    return not participant.plain and participant.kind not in _DEPENDENT


def note(room: LiveRoom, now: int) -> None:
    """Note since when there is no person in a room."""
    if any(is_person(participant) for participant in room.participants.values()):
        room.deserted_at = None
    elif room.deserted_at is None:
        room.deserted_at = now


def is_deserted(room: LiveRoom, now: int) -> bool:
    """Return whether everyone has left a room in which somebody was, by what was noted.

    Plain transports alone do not keep it open, nor does, on a secondary node, who is on others. Agents and recorders
    keep it open for a while.
    """
    if not any(_is_here(room, participant) for participant in room.participants.values()):
        return room.visited
    wait = _DEPARTURE_NS if room.visited else _EMPTY_NS
    return room.deserted_at is not None and now - room.deserted_at >= wait


def _is_here(room: LiveRoom, participant: Participant) -> bool:
    return not participant.plain and not (room.is_secondary and participant.link is not None)
