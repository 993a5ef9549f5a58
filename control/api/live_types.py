"""Responses about live rooms."""

from control.api.participant_types import Participant
from control.api.types import Answer, Body, Time


class Visit(Answer, frozen=True, kw_only=True):
    """One stay of a participant in a room."""

    id: int
    meeting: str
    participant: str
    node: str
    joined_at: Time
    left_at: Time | None
    reason: str | None


class Visits(Answer, frozen=True, kw_only=True):
    visits: list[Visit]


class Closed(Answer, frozen=True, kw_only=True):
    closed: int


class LiveRoom(Answer, frozen=True, kw_only=True):
    meeting: str
    title: str
    node: str
    opened_at: Time
    participants: int
    tracks: int
    recording: bool


class LiveRooms(Answer, frozen=True, kw_only=True):
    rooms: list[LiveRoom]


class LiveTrack(Answer, frozen=True, kw_only=True):
    track: str
    source: str
    codec: str
    published_at: Time


class Peer(Answer, frozen=True, kw_only=True):
    """A participant in the room, with the tracks it publishes."""

    participant: Participant
    tracks: list[LiveTrack]


class Peers(Answer, frozen=True, kw_only=True):
    peers: list[Peer]


class RoomStatistics(Answer, frozen=True, kw_only=True):
    live: bool
    participants: int
    tracks: int
    recording: bool


class OfMeeting(Body, frozen=True, kw_only=True):
    meeting: str
