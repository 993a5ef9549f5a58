"""Responses about live rooms."""

from typing import Annotated, Literal

import msgspec

from control.api.paging import PageQuery
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
    next: str | None


class VisitQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the participant's name or id, of the node, or in a list of all rooms, the meeting's id.

    `sort` is a field of the entries; a minus reverses the order.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000
    sort: Literal["joined_at", "-joined_at"] = "-joined_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class LiveRoomQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches the meeting's title and id, and the node. `sort` is a field; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000
    sort: Literal["opened_at", "-opened_at", "title", "-title", "participants", "-participants"] = "opened_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Closed(Answer, frozen=True, kw_only=True):
    closed: int


class LiveRoom(Answer, frozen=True, kw_only=True):
    """A live room. `kbps_in` and `kbps_out` are the media that its nodes receive and send, in kbit/s."""

    meeting: str
    title: str
    node: str
    opened_at: Time
    participants: int
    tracks: int
    recording: bool
    kbps_in: int
    kbps_out: int


class LiveRooms(Answer, frozen=True, kw_only=True):
    rooms: list[LiveRoom]
    next: str | None


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
    next: str | None


class RoomStatistics(Answer, frozen=True, kw_only=True):
    live: bool
    participants: int
    tracks: int
    recording: bool


class OfMeeting(Body, frozen=True, kw_only=True):
    meeting: str
