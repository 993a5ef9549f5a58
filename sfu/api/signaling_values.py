"""Parts of signaling messages: participants, tracks, slots, states."""

from typing import Annotated, Literal

import msgspec

from sfu.api.desired_state import ConsentPolicy
from sfu.api.join_token import Source


class DataTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A data track; `about` describes it further in its client's protocol, in base64."""

    track: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    about: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class ParticipantInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A participant as others see them. `connected` is false while a reconnect is awaited.

    `identity` is the application's name for the participant, if any; `metadata` and `attributes` belong to the
    application. `joined_at` is in Unix ms. `hand` is when the hand was raised (Unix ms), 0 if it is not. `kind` is set
    for participants that are not people, such as `agent`. `quality` describes the connection: `good`, `poor`, `lost`
    while nothing arrives, or empty (the usual case) if it is good. An `attendee` may publish nothing, a
    `presenter` may share its screen even if most may not. `data_tracks` are
    streams of packets that clients with LiveKit's protocol may subscribe to.
    """

    participant: str
    name: str
    host: bool = False
    connected: bool = True
    recorded: bool = False
    identity: str = ""
    metadata: str = ""
    attributes: dict[str, str] = {}
    hand: int = 0
    joined_at: int = 0
    kind: str = ""
    quality: str = ""
    attendee: bool = False
    presenter: bool = False
    data_tracks: tuple[DataTrack, ...] = ()


class Permitted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who may receive a publisher's tracks, by id or identity. If `tracks` is None, this means all of them."""

    participant: str = ""
    identity: str = ""
    tracks: tuple[str, ...] | None = None


class TrackInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A published track. `muted` is set by the publisher or a host, `paused` in TrackState by the sfu.

    `name`, the size of its pictures (0 if unknown) and `sealed` (encrypted end to end) are as its publisher declared.
    """

    track: str
    participant: str
    source: Source
    media: Literal["audio", "video"]
    codec: str
    muted: bool = False
    name: str = ""
    width: int = 0
    height: int = 0
    sealed: bool = False
    simulcast: bool = False


class IceServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RTCIceServer (W3C WebRTC, section 4.2.2)."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class OfferedTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of an m-section of a publish offer.

    `codec` (a name as in TrackInfo, or `red` for Opus in RED) is the one to send if the section offers it; otherwise
    the server chooses. With `scalability`, a scalabilityMode (W3C WebRTC SVC), each stream carries several layers. With
    `backup_of`, the id of one of the client's own tracks, the section carries that track in the codec that `backup`
    asked for. `track` is an id chosen by the client (`t-` and 16 hexadecimal digits) instead of by the server. `name`,
    `width`, `height` and `sealed` are shown to others as in TrackInfo. `continuous` sound, such as music, is also sent
    while it is quiet; a microphone may otherwise pause then (DTX, RFC 7587).
    """

    mid: str
    source: Source
    muted: bool = False
    codec: str = ""
    scalability: str = ""
    backup_of: str = ""
    track: Annotated[str, msgspec.Meta(pattern="^(t-[0-9a-f]{16})?$")] = ""
    name: Annotated[str, msgspec.Meta(max_length=256)] = ""
    width: Annotated[int, msgspec.Meta(ge=0, le=16384)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=16384)] = 0
    sealed: bool = False
    continuous: bool = False


class AnsweredTrack(msgspec.Struct, frozen=True, kw_only=True):
    """The track id that the server gave to an m-section of a publish offer."""

    mid: str
    track: str


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An m-section of the subscribe peer and the track it carries now, if any."""

    mid: str
    track: str | None = None


class WantedTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subscriber's wish for one track: whether it is wanted, and its displayed size in device pixels.

    A `hidden` track keeps its slot, and is not sent.
    """

    track: str
    on: bool = True
    width: int = 0
    height: int = 0
    hidden: bool = False


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """An active speaker; `level` is RFC 6464's -dBov, 0 loudest to 127 silent."""

    participant: str
    level: int


class RecordingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of the room's recording. `text` is the version of the consent text to show.

    `stalled` is the reason, as a sentence, while the recording runs but is not being stored. `stalled_code` is
    `no_recorder`, `silent` (the recorder does not answer) or `storage` (a problem with its disk or store).

    `consent` is the meeting's policy on consent (sfu.api.desired_state), even while nothing is recorded.

    `broadcast_since` is set while the room goes out live (Unix milliseconds). Consent to being recorded covers that.
    """

    active: bool
    recording: str | None = None
    started_at: int | None = None
    text: str | None = None
    consent: ConsentPolicy = "ask"
    stalled: str | None = None
    stalled_code: str = ""
    broadcast_since: int | None = None


class CaptionsState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Availability of captions, and if they are unavailable, the reason: a sentence and a stable code.

    Codes are `e2ee`, `off` (in this meeting), `no_inference`, `starting`, `no_models` and `late` (available, but
    behind).
    """

    available: bool
    reason: str | None = None
    code: str = ""
