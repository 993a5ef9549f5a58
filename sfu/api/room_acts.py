"""Views of live rooms for control, and acts that it has nodes do there at once on behalf of an application.

Unlike the desired state, an act is over once it is done: nothing of it is kept, and who comes later does not see it.
Control sends it to every node that holds the room; each does its part.
"""

import msgspec

from sfu.api.join_token import Grants
from sfu.api.signaling_values import ParticipantInfo, TrackInfo


class SeenParticipant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A participant of a live room, with its rights."""

    info: ParticipantInfo
    grants: Grants


class RoomView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A live room as its home sees it. `opened_at` is in Unix milliseconds."""

    room: str
    opened_at: int
    participants: list[SeenParticipant]
    tracks: list[TrackInfo]
    recording: bool = False


class SayData(msgspec.Struct, frozen=True, kw_only=True, tag="say_data"):
    """Send a data message to everybody (`to` is empty) or to those named, as from nobody."""

    payload: bytes
    topic: str = ""
    to: tuple[str, ...] = ()
    reliable: bool = True


class DescribeParticipant(msgspec.Struct, frozen=True, kw_only=True, tag="describe"):
    """Change what others see of a participant; None leaves as it is, an empty attribute goes."""

    participant: str
    name: str | None = None
    metadata: str | None = None
    attributes: dict[str, str] = {}


class MuteTrack(msgspec.Struct, frozen=True, kw_only=True, tag="mute_track"):
    """Mute a track until its publisher unmutes it; nothing of it passes meanwhile."""

    track: str


class WantTracks(msgspec.Struct, frozen=True, kw_only=True, tag="want_tracks"):
    """Subscribe a participant to tracks, or end that."""

    participant: str
    tracks: tuple[str, ...]
    on: bool


Act = SayData | DescribeParticipant | MuteTrack | WantTracks


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A node's answer: whether what the act is about is there."""

    found: bool
