"""Views of live rooms for control, and acts that control has nodes carry out at once for an application.

Unlike the desired state, an act is not stored, and participants who join later are not affected by it. Control sends it
to every node that holds the room; each does its part.
"""

from enum import IntEnum

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
    """Send a data message without a sender to everybody (`to` is empty) or to those named."""

    payload: bytes
    topic: str = ""
    to: tuple[str, ...] = ()
    reliable: bool = True


class DescribeParticipant(msgspec.Struct, frozen=True, kw_only=True, tag="describe"):
    """Change what others see of a participant. None leaves a value as it is; an empty attribute is removed."""

    participant: str
    name: str | None = None
    metadata: str | None = None
    attributes: dict[str, str] = {}


class MuteTrack(msgspec.Struct, frozen=True, kw_only=True, tag="mute_track"):
    """Mute a track until its publisher unmutes it; meanwhile none of it is forwarded."""

    track: str


class WantTracks(msgspec.Struct, frozen=True, kw_only=True, tag="want_tracks"):
    """Subscribe a participant to tracks, or unsubscribe it from them."""

    participant: str
    tracks: tuple[str, ...]
    on: bool


class SendAway(msgspec.Struct, frozen=True, kw_only=True, tag="send_away"):
    """Send a client of LiveKit's protocol to the room of another meeting, where `token` admits it."""

    participant: str
    meeting: str
    title: str
    token: str


Act = SayData | DescribeParticipant | MuteTrack | WantTracks | SendAway


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A node's answer: whether the object of the act exists there."""

    found: bool


class CallMethod(msgspec.Struct, frozen=True, kw_only=True):
    """Call a method of a client of LiveKit's protocol (RPC), which has `timeout_ms` to answer."""

    participant: str
    method: str
    payload: str
    timeout_ms: int


class CallError(IntEnum):
    """Errors of LiveKit's RPC that do not come from the method itself."""

    UNSUPPORTED_METHOD = 1400
    RECIPIENT_NOT_FOUND = 1401
    REQUEST_PAYLOAD_TOO_LARGE = 1402
    CONNECTION_TIMEOUT = 1501
    RESPONSE_TIMEOUT = 1502
    RECIPIENT_DISCONNECTED = 1503


class MethodAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client's answer to a call: `payload`, or an `error` code (not 0) of LiveKit's RPC with `message` and `data`."""

    payload: str = ""
    error: int = 0
    message: str = ""
    data: str = ""
