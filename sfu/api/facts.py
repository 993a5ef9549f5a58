"""Facts: what sfu, recorder and inference report to control, in numbered batches, at least once.

A reporter POSTs `FactBatch` as JSON to control's `/internal/v1/facts` and repeats it until `{"acknowledged": n}` comes
back; (`node`, `boot`, `n`) makes repeats harmless. Times are Unix milliseconds.
"""

from typing import Any, get_args

import msgspec

from sfu.api.signaling_values import ParticipantInfo, TrackInfo


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of all facts: the room it happened in and when.

    `epoch` is the placement (sfu.api.placement) under which the node held the room; 0 for facts that concern no node.
    """

    room: str
    at: int
    epoch: int = 0


class RoomOpened(Fact, tag="room_opened", frozen=True, kw_only=True):
    """The first participant made the room live on this node."""


class RoomClosed(Fact, tag="room_closed", frozen=True, kw_only=True):
    """The last participant has left and the grace period for reconnecting has passed.

    `moved`: the node gave up the room and told its participants to rejoin; the recording continues.
    """

    moved: bool = False


class ParticipantJoined(Fact, tag="participant_joined", frozen=True, kw_only=True):
    """A participant joined. `info` is what others see of them; `traceparent` is the trace of the join (W3C Trace
    Context).
    """

    participant: str
    name: str
    user: str | None = None
    traceparent: str = ""
    info: ParticipantInfo | None = None


class ParticipantLeft(Fact, tag="participant_left", frozen=True, kw_only=True):
    """A participant left. `reason`: left, timeout, removed, banned, ended, shutdown, replaced, reassigned,
    consent_required.
    """

    participant: str
    reason: str
    info: ParticipantInfo | None = None


class TrackPublished(Fact, tag="track_published", frozen=True, kw_only=True):
    participant: str
    track: str
    source: str
    codec: str
    info: TrackInfo | None = None


class TrackUnpublished(Fact, tag="track_unpublished", frozen=True, kw_only=True):
    participant: str
    track: str
    info: TrackInfo | None = None


class ConsentAnswered(Fact, tag="consent", frozen=True, kw_only=True):
    """A participant's answer to one of the three requests for consent: recording, captions or analysis."""

    participant: str
    consent: str
    granted: bool
    text: str


class RecordingRequested(Fact, tag="recording_wished", frozen=True, kw_only=True):
    """A participant who may record asked over signaling for a recording to start (`on`) or stop."""

    participant: str
    on: bool


class ChatSent(Fact, tag="chat", frozen=True, kw_only=True):
    message: str
    participant: str
    name: str
    text: str
    to: str | None = None
    reply_to: str | None = None
    file: str | None = None


class MessageReacted(Fact, tag="message_reacted", frozen=True, kw_only=True):
    """A participant added an emoji to a chat message, or removed it (`on` is false)."""

    message: str
    participant: str
    emoji: str
    on: bool


class RecordingStarted(Fact, tag="recording_started", frozen=True, kw_only=True):
    recording: str


class RecordingStalled(Fact, tag="recording_stalled", frozen=True, kw_only=True):
    """A running recording is not being stored at the moment. `reason` is a sentence."""

    recording: str
    reason: str


class RecordingResumed(Fact, tag="recording_resumed", frozen=True, kw_only=True):
    """A recording that had stalled is being stored again."""

    recording: str


class SegmentClosed(Fact, tag="segment_closed", frozen=True, kw_only=True):
    """One immutable object of a recording is complete. `key` is relative to the recordings root."""

    recording: str
    track: str
    participant: str
    key: str
    bytes: int
    sha256: str


class RecordingFinished(Fact, tag="recording_finished", frozen=True, kw_only=True):
    """The manifest has been committed under the key `manifest`. `state` is ready, partial or empty."""

    recording: str
    state: str
    duration_ms: int
    bytes: int
    manifest: str
    problems: list[str] = []


class SpokenWord(msgspec.Struct, frozen=True, array_like=True):
    """A word of a caption, with the space before it; times are milliseconds since the caption's start."""

    text: str
    start_ms: int
    end_ms: int


class CaptionFinal(Fact, tag="caption", frozen=True, kw_only=True):
    """A final caption; times are milliseconds on the meeting clock (since the room opened).

    The texts of `words` make up `text`; there are none if the recogniser does not know their times.
    """

    participant: str
    track: str
    utterance: str
    start_ms: int
    end_ms: int
    lang: str
    text: str
    model: str
    words: tuple[SpokenWord, ...] = ()


class TrackQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of one track since the last such fact.

    `direction` is publish or subscribe, as the participant does it; `layer` is what was forwarded last: a rid, layers
    of a stream ("L1T3"), or both. `loss` is the average of each second's share of lost packets (0..1); `bitrate` is in
    bits/s. `freezes` counts periods of at least a second without a packet, checked about once a second, while a video
    was neither muted nor paused. `paused` is the number of seconds for which it was paused for lack of bandwidth.
    """

    track: str
    direction: str
    layer: str = ""
    bitrate: int = 0
    loss: float = 0.0
    jitter_ms: float = 0.0
    freezes: int = 0
    paused: int = 0


class QualityMeasured(Fact, tag="quality", frozen=True, kw_only=True):
    """Quality of a participant's media over the last `seconds`; sent every minute, and when they leave (`final`).

    `estimate` is the estimated capacity of its downlink (bits/s); it and the round trip are None when unknown.
    """

    participant: str
    seconds: int
    final: bool = False
    round_trip_ms: float | None = None
    estimate: int | None = None
    tracks: list[TrackQuality] = []


AnyFact = (
    RoomOpened
    | RoomClosed
    | ParticipantJoined
    | ParticipantLeft
    | TrackPublished
    | TrackUnpublished
    | ConsentAnswered
    | RecordingRequested
    | ChatSent
    | MessageReacted
    | RecordingStarted
    | RecordingStalled
    | RecordingResumed
    | SegmentClosed
    | RecordingFinished
    | CaptionFinal
    | QualityMeasured
)


class FactBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one reporter, in order. `n` counts batches since `boot` (random per start) from 1."""

    node: str
    boot: str
    n: int
    facts: list[AnyFact]


class SkippedFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that could not be read. `known` is true if this release knows its kind."""

    kind: str
    known: bool
    problem: str


class ReceivedBatch(FactBatch, frozen=True, kw_only=True):
    """A decoded batch: its facts, and a note of each that could not be read."""

    skipped: list[SkippedFact] = []


class FactAcknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    acknowledged: int


def encode_batch(batch: FactBatch) -> bytes:
    """Return the batch as JSON."""
    return msgspec.json.encode(batch)


class _Envelope(msgspec.Struct, frozen=True):
    node: str
    boot: str
    n: int
    facts: list[msgspec.Raw]


class _Tagged(msgspec.Struct, frozen=True):
    kind: str = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_FACT: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact)
_TAGGED = msgspec.json.Decoder(_Tagged)
_KINDS = frozenset(str(one.__struct_config__.tag) for one in get_args(AnyFact))
_MAX_KIND = 64


def decode_batch(data: bytes) -> ReceivedBatch:
    """Return a batch that `encode_batch` of this or another release wrote; raises ValueError for anything else.

    A fact that cannot be read, such as one from a later release, does not affect the others.
    """
    envelope = _ENVELOPE.decode(data)
    facts: list[AnyFact] = []
    skipped: list[SkippedFact] = []
    for raw in envelope.facts:
        try:
            facts.append(_FACT.decode(raw))
        except ValueError as error:
            kind = _kind_of(raw)
            skipped.append(SkippedFact(kind=kind[:_MAX_KIND], known=kind in _KINDS, problem=str(error)))
    return ReceivedBatch(node=envelope.node, boot=envelope.boot, n=envelope.n, facts=facts, skipped=skipped)


def _kind_of(raw: msgspec.Raw) -> str:
    try:
        return _TAGGED.decode(raw).kind
    except ValueError:
        return ""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a batch."""
    return msgspec.json.schema(FactBatch)
