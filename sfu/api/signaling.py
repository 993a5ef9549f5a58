"""Signaling messages between a client and the sfu: JSON over WebSocket, one object per message, tagged by `kind`.

The server greets with `hello`; the client's first message is `join`, which carries the protocol version it speaks and
either a join token or a resume secret. Unknown kinds are answered with `error`; unknown fields are ignored. Tags are
the contract, whatever the classes are called: messages about participants are tagged `user-…`. Each participant has two
peers: on "publish" the client offers, on "subscribe" the server does, so offers never collide. The subscribe peer's
m-sections are slots: `slots` points them at tracks without SDP.
"""

from typing import Annotated, Any, Literal

import msgspec

from sfu.api.desired_state import SharedView
from sfu.api.join_token import Grants
from sfu.api.signaling_values import (
    AnsweredTrack,
    CaptionsState,
    DataTrack,
    OfferedTrack,
    ParticipantInfo,
    Permitted,
    RecordingState,
    Slot,
    Speaker,
    TrackInfo,
    WantedTrack,
)

VERSION = 1
VERSIONS = (1,)
MAX_MESSAGE_BYTES = 256 * 1024

PeerRole = Literal["publish", "subscribe"]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of all messages; the tag `kind` names them on the wire."""


# Client to server


class Join(Message, tag="join", frozen=True, kw_only=True):
    """The first message. It has either `token` (from control) or `resume` (from an earlier room-info)."""

    v: int
    token: str | None = None
    resume: str | None = None
    client: str = ""


class Offer(Message, tag="offer", frozen=True, kw_only=True):
    """Publish: client to server, with `tracks`. Subscribe: server to client, with `id` to be echoed by the answer.

    A publish offer with `restart` starts a fresh publish peer (after a lost connection).
    """

    peer: PeerRole
    sdp: str
    id: int = 0
    tracks: list[OfferedTrack] = []
    restart: bool = False


class Answer(Message, tag="answer", frozen=True, kw_only=True):
    """Publish: server to client, with `tracks`. Subscribe: client to server, echoing the offer's `id`."""

    peer: PeerRole
    sdp: str
    id: int = 0
    tracks: list[AnsweredTrack] = []


class Ice(Message, tag="ice", frozen=True, kw_only=True):
    """A trickled candidate (RFC 8838). The sfu ignores it: being ICE-lite, it learns addresses from checks."""

    peer: PeerRole
    candidate: str = ""


class RestartSubscribe(Message, tag="restart-subscribe", frozen=True, kw_only=True):
    """Asks for an offer on a fresh subscribe peer, since the client lost the old one."""


class Unpublish(Message, tag="unpublish", frozen=True, kw_only=True):
    """Ends one of the client's tracks."""

    track: str


class MediaControl(Message, tag="media-control", frozen=True, kw_only=True):
    """Mutes or unmutes one of the client's own tracks.

    `too_slow` is true if the client paused it because its network is too slow.
    """

    track: str
    muted: bool
    too_slow: bool = False


class Subscribe(Message, tag="subscribe", frozen=True, kw_only=True):
    """Changes what the client wants; tracks not named stay as they are. At first every track is wanted."""

    tracks: list[WantedTrack]


class Consent(Message, tag="consent", frozen=True, kw_only=True):
    """Answers to the three requests for consent; None leaves an answer as it is. `text` is the version of the text that
    was shown.
    """

    text: str
    recording: bool | None = None
    captions: bool | None = None
    analysis: bool | None = None


class Chat(Message, tag="chat", frozen=True, kw_only=True):
    """A chat message; `to` names one participant, else all. The server fills id, sender and time (Unix ms).

    `reply_to` is the id of the message that it answers, `file` control's id of an uploaded file that comes with it.
    """

    text: str
    to: str | None = None
    reply_to: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    file: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    id: str | None = None
    participant: str | None = None
    name: str | None = None
    at: int | None = None


class Describe(Message, tag="describe", frozen=True, kw_only=True):
    """Changes what others see of the participant. None leaves a part unchanged; an empty attribute is removed."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    metadata: Annotated[str, msgspec.Meta(max_length=65536)] | None = None
    attributes: dict[str, str] = {}


class DataTracks(Message, tag="data-tracks", frozen=True, kw_only=True):
    """Lists all data tracks that the participant publishes from now on. `user-updated` tells everybody."""

    tracks: Annotated[tuple[DataTrack, ...], msgspec.Meta(max_length=32)] = ()


class Permit(Message, tag="permit", frozen=True, kw_only=True):
    """Says who may receive the participant's present and future tracks: everybody, or only those in `to`."""

    everyone: bool = True
    to: Annotated[tuple[Permitted, ...], msgspec.Meta(max_length=1000)] = ()


class Hand(Message, tag="hand", frozen=True, kw_only=True):
    """Raises or lowers the sender's hand; hosts can also lower that of `participant`. `user-updated` tells
    everybody.
    """

    raised: bool
    participant: str | None = None


class Reaction(Message, tag="reaction", frozen=True, kw_only=True):
    """Shows an emoji to all for a moment. The server fills in the sender.

    With `message`, the emoji is added to that chat message, or removed (`on` is false); `to` is the other person in
    a private message.
    """

    emoji: str
    participant: str | None = None
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    on: bool = True
    to: str | None = None


class Record(Message, tag="record", frozen=True, kw_only=True):
    """Asks for a recording to start or stop, if the client may record; `recording` reports it."""

    on: bool


class Ping(Message, tag="ping", frozen=True, kw_only=True):
    id: int


class Leave(Message, tag="leave", frozen=True, kw_only=True):
    """Leaves the room; the server closes with 1000."""


# Server to client


class Hello(Message, tag="hello", frozen=True, kw_only=True):
    """The greeting: the supported versions, newest first, and the node."""

    v: int
    versions: tuple[int, ...]
    node: str


class RoomInfo(Message, tag="room-info", frozen=True, kw_only=True):
    """The answer to `join`. Times are Unix ms; `opened_at` is the zero of the meeting clock that captions use."""

    v: int
    room: str
    participant: str
    grants: Grants
    resume: str
    participants: list[ParticipantInfo]
    tracks: list[TrackInfo]
    recording: RecordingState
    captions: CaptionsState
    opened_at: int
    now: int
    resumed: bool = False
    metadata: str = ""
    shared: SharedView = SharedView()


class ParticipantJoined(Message, tag="user-joined", frozen=True, kw_only=True):
    participant: ParticipantInfo


class ParticipantUpdated(Message, tag="user-updated", frozen=True, kw_only=True):
    """A participant's `connected`, `host`, `recorded` or `hand` changed."""

    participant: ParticipantInfo


class ParticipantLeft(Message, tag="user-left", frozen=True, kw_only=True):
    participant: str
    reason: str


class TrackPublished(Message, tag="track-published", frozen=True, kw_only=True):
    track: TrackInfo


class TrackUnpublished(Message, tag="track-unpublished", frozen=True, kw_only=True):
    track: str


class TrackMuted(Message, tag="track-muted", frozen=True, kw_only=True):
    """A track was muted or unmuted. With `by_host` the publisher cannot undo it."""

    track: str
    muted: bool
    by_host: bool = False


class TrackState(Message, tag="track-state", frozen=True, kw_only=True):
    """To one subscriber: whether the sfu sends it this track, and if not, why.

    Reasons are `bandwidth` (of the subscriber's link), `overload` (of the server), `codec_unsupported`, and
    `not_shared` (the publisher shares the track with others only).
    """

    track: str
    paused: bool
    reason: str = ""


class Layers(Message, tag="layers", frozen=True, kw_only=True):
    """To a publisher: the rids of a video that somebody watches, "" for a video without rids; the client may stop
    sending the others.
    """

    track: str
    active: list[str]


class Backup(Message, tag="backup", frozen=True, kw_only=True):
    """To a publisher: states whether somebody who cannot decode a track needs it in `codec` as well."""

    track: str
    codec: str
    wanted: bool


class Watched(Message, tag="watched", frozen=True, kw_only=True):
    """To a publisher over another protocol: the track is shown to somebody for the first time."""

    track: str


class SectionsWanted(Message, tag="sections-wanted", frozen=True, kw_only=True):
    """To a client of another protocol that makes all offers: asks for an offer with this many more m-sections."""

    audio: int
    video: int


class Slots(Message, tag="slots", frozen=True, kw_only=True):
    """The current map of all of the subscribe peer's slots, including slots without a track."""

    slots: list[Slot]


class GrantsChanged(Message, tag="grants", frozen=True, kw_only=True):
    """The receiver's own grants, after a change of the desired state."""

    grants: Grants


class Speakers(Message, tag="speakers", frozen=True, kw_only=True):
    """The participants who are speaking, loudest first; sent when it changes."""

    speakers: list[Speaker]


class RecordingChanged(Message, tag="recording", frozen=True, kw_only=True):
    state: RecordingState


class CaptionsChanged(Message, tag="captions", frozen=True, kw_only=True):
    state: CaptionsState


class Move(Message, tag="move", frozen=True, kw_only=True):
    """The receiver was moved to another room of the meeting: it joins `meeting` next, and this session ends."""

    meeting: str
    title: str


class Closing(Message, tag="closing", frozen=True, kw_only=True):
    """This breakout room closes at `at` (Unix ms); None cancels that."""

    at: int | None = None


class RoomDescribed(Message, tag="room-described", frozen=True, kw_only=True):
    """The room's metadata, which belongs to the application, changed."""

    metadata: str


class Shared(Message, tag="shared", frozen=True, kw_only=True):
    """The part of the room's state that everyone sees alike, complete."""

    state: SharedView


class Announced(Message, tag="announcement", frozen=True, kw_only=True):
    """A host's message to all rooms of the meeting. `at` is in Unix ms."""

    id: str
    name: str
    text: str
    at: int


class Caption(Message, tag="caption", frozen=True, kw_only=True):
    """A caption. A higher `rev` replaces a lower one; a final one never changes. Times are on the meeting clock."""

    v: int
    meeting: str
    participant: str
    track: str
    utterance: str
    rev: int
    final: bool
    start_ms: int
    end_ms: int
    lang: str
    text: str
    model: str


class Pong(Message, tag="pong", frozen=True, kw_only=True):
    id: int


class Error(Message, tag="error", frozen=True, kw_only=True):
    """A refusal. `code` is stable, `detail` a sentence; after a `fatal` one the server closes the connection."""

    code: str
    detail: str
    fatal: bool = False


ClientMessage = (
    Join
    | Offer
    | Answer
    | Ice
    | RestartSubscribe
    | Unpublish
    | MediaControl
    | Subscribe
    | Consent
    | Chat
    | Describe
    | DataTracks
    | Permit
    | Hand
    | Reaction
    | Record
    | Ping
    | Leave
)

ServerMessage = (
    Hello
    | RoomInfo
    | Offer
    | Answer
    | ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | TrackState
    | Layers
    | Backup
    | Watched
    | SectionsWanted
    | Slots
    | GrantsChanged
    | Speakers
    | RecordingChanged
    | CaptionsChanged
    | Move
    | Closing
    | Shared
    | Announced
    | RoomDescribed
    | Caption
    | Chat
    | Reaction
    | Pong
    | Error
)

_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: Message) -> str:
    """Return the message as one JSON text."""
    return msgspec.json.encode(message).decode()


def decode_client(data: str | bytes) -> ClientMessage:
    """Return a client's message; raises ValueError (msgspec.ValidationError or DecodeError) for anything else."""
    return _client_decoder.decode(data)


def decode_server(data: str | bytes) -> ServerMessage:
    """Return a server's message; raises ValueError for anything else."""
    return _server_decoder.decode(data)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of both directions, as published with the documentation."""
    (client, server), definitions = msgspec.json.schema_components((ClientMessage, ServerMessage))
    return {"client": client, "server": server, "$defs": definitions}
