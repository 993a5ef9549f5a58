"""Records on a sink socket (AF_UNIX, SOCK_SEQPACKET): one record per message, in both directions.

First byte: the record's type. Integers are big-endian. A sink sees streams as the publisher sent them, with their own
SSRC, seq and timestamp, decrypted and repaired (so late packets come out of order). Padding-only packets are included,
so every lasting gap in `ext_seq` is a loss. Times are nanoseconds of CLOCK_MONOTONIC, the sfu's clock, taken by the
kernel.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

import msgspec

VERSION = 3
"""The version of both ends. Since version 2 a recorder sends RecorderState and RecordingKept, which older sfus
refuse; since version 3 it is told of broadcasts.
"""
_PACKET = struct.Struct("!BIqq")
_REPORT = struct.Struct("!BIIQIq")
_MISSED = struct.Struct("!BIqI")
MAX_RECORD_BYTES = 65536


class RecordType(IntEnum):
    PACKET = 1
    SENDER_REPORT = 2
    MISSED = 3
    CONTROL = 4


class PacketRecord(NamedTuple):
    """An RTP packet (RFC 3550) of the track opened under `handle`."""

    handle: int
    ext_seq: int
    arrival: int
    rtp: bytes


class SenderReportRecord(NamedTuple):
    """A mapping from a stream's RTP clock to its sender's NTP clock (RFC 3550, section 6.4.1)."""

    handle: int
    ssrc: int
    ntp: int
    rtp_timestamp: int
    arrival: int


class MissedRecord(NamedTuple):
    """A number of `packets`, from `first_ext_seq` on, that this sink will not get: lost upstream, or its queue was
    full.
    """

    handle: int
    first_ext_seq: int
    packets: int


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of the JSON records."""


class SinkHello(Control, tag="hello", frozen=True, kw_only=True):
    """A sink's first record. `sink` is "recorder", "inference" or "broadcast"; `instance` names its process for logs
    and facts.

    A sink for a broadcast gets one `room`, of which there is one such sink; the others get all rooms.

    `v` is the VERSION of the sink; an sfu sends its own in RecordingStarted.
    """

    sink: str
    instance: str
    room: str = ""
    v: int = 1


class TrackOpened(Control, tag="track-opened", frozen=True, kw_only=True):
    """A track, or a new stream of it (layer, codec or SSRC change: `handle` is new, `track` the same).

    `recording` is set for a recorder. `opened_at` is the zero of the meeting clock on the monotonic clock (ns),
    `opened_unix_ms` the same instant on the wall clock. `fmtp` holds the codec's parameters as in SDP. `traceparent` is
    the context of the publisher's join (foundation.tracing). `uses` lists what the participant consented to, for
    inference: "captions", "analysis".
    """

    handle: int
    room: str
    participant: str
    name: str
    track: str
    source: str
    media: str
    codec: str
    clock_rate: int
    ssrc: int
    opened_at: int
    opened_unix_ms: int
    channels: int = 1
    fmtp: str = ""
    recording: str | None = None
    muted: bool = False
    traceparent: str = ""
    uses: tuple[str, ...] = ()


class TrackClosed(Control, tag="track-closed", frozen=True, kw_only=True):
    """No more packets follow for `handle`. `reason`: replaced, unpublished, left, consent, stopped or shutdown."""

    handle: int
    reason: str


class TrackMuteChanged(Control, tag="track-muted", frozen=True, kw_only=True):
    handle: int
    muted: bool
    at: int


class RecordingStarted(Control, tag="recording-begun", frozen=True, kw_only=True):
    """Sent to a recorder before a recording's tracks, and again to one that attaches while it runs.

    `placement` is the epoch (sfu.api.placement) under which the node holds the room: if two nodes record it, the one
    with the higher epoch counts.
    """

    recording: str
    room: str
    started_unix_ms: int
    opened_at: int
    opened_unix_ms: int
    placement: int = 0
    v: int = 1


class RecordingEnded(Control, tag="recording-ended", frozen=True, kw_only=True):
    """The recording is over: seal and finish it. If it `moved` to another node, only seal it.

    `placement` is that of its RecordingStarted: a node cannot end a recording that has moved away.
    """

    recording: str
    room: str
    moved: bool = False
    placement: int = 0


class BroadcastStarted(Control, tag="broadcast-begun", frozen=True, kw_only=True):
    """Sfu to recorder: a room goes out live. Its media are for a sink of its own, which the recorder attaches.

    `placement` is as in RecordingStarted. Sent again to a recorder that attaches while the broadcast runs.
    """

    broadcast: str
    room: str
    placement: int = 0


class BroadcastEnded(Control, tag="broadcast-ended", frozen=True, kw_only=True):
    """Sfu to recorder: a broadcast is over here. `moved`: it goes on at another node."""

    broadcast: str
    room: str
    moved: bool = False


class KeyframeWanted(Control, tag="keyframe", frozen=True, kw_only=True):
    """Sink to sfu: ask the publisher for a keyframe of this stream."""

    handle: int


class Durable(Control, tag="durable", frozen=True, kw_only=True):
    """Recorder to sfu: all packets of the track's `ssrc` up to `ext_seq` are on disk and need no replay."""

    recording: str
    track: str
    ssrc: int
    ext_seq: int


class RecordingKept(Control, tag="recording-kept", frozen=True, kw_only=True):
    """Recorder to sfu: a recording that has ended is completely on disk and needs no replay."""

    recording: str


class RecorderState(Control, tag="recorder-state", frozen=True, kw_only=True):
    """Recorder to sfu, twice a second: a sign of life. `stalled` names recordings that are not being stored, with the
    reason.
    """

    stalled: dict[str, str] = {}


class CaptionRecord(Control, tag="caption", frozen=True, kw_only=True):
    """Inference to sfu: a caption for the participants of `room`, fields as in signaling.Caption."""

    room: str
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


class CaptionsAvailable(Control, tag="captions", frozen=True, kw_only=True):
    """Inference to sfu: states whether it can caption; `reason` and `code` are as in signaling_values.CaptionsState."""

    available: bool
    reason: str | None = None
    code: str = ""


class AnalysisWanted(Control, tag="analysis", frozen=True, kw_only=True):
    """Inference to sfu: the media for which it has models that analyse people (consent `analysis`); initially none."""

    audio: bool = False
    video: bool = False


AnyControl = (
    SinkHello
    | TrackOpened
    | TrackClosed
    | TrackMuteChanged
    | RecordingStarted
    | RecordingEnded
    | BroadcastStarted
    | BroadcastEnded
    | KeyframeWanted
    | Durable
    | RecordingKept
    | RecorderState
    | CaptionRecord
    | CaptionsAvailable
    | AnalysisWanted
)
AnyRecord = PacketRecord | SenderReportRecord | MissedRecord | AnyControl

_control_decoder: msgspec.json.Decoder[AnyControl] = msgspec.json.Decoder(AnyControl)


def encode_packet(handle: int, ext_seq: int, arrival: int, rtp: bytes) -> bytes:
    """Return a packet record."""
    return _PACKET.pack(RecordType.PACKET, handle, ext_seq, arrival) + rtp


def encode(record: AnyRecord) -> bytes:
    """Return any record as the bytes of one message."""
    if isinstance(record, PacketRecord):
        return encode_packet(*record)
    if isinstance(record, SenderReportRecord):
        return _REPORT.pack(RecordType.SENDER_REPORT, *record)
    if isinstance(record, MissedRecord):
        return _MISSED.pack(RecordType.MISSED, *record)
    return bytes([RecordType.CONTROL]) + msgspec.json.encode(record)


def handle_of(data: bytes) -> int:
    """Return the handle of a packet, report or missed record without decoding it; -1 if it is too short."""
    return int.from_bytes(data[1:5], "big") if len(data) >= 5 else -1


def decode(data: bytes) -> AnyRecord:
    """Return the record that `encode` wrote; raises ValueError for anything else."""
    kind = data[0] if data else 0
    try:
        if kind == RecordType.PACKET:
            _, handle, ext_seq, arrival = _PACKET.unpack_from(data)
            return PacketRecord(handle, ext_seq, arrival, data[_PACKET.size :])
        if kind == RecordType.SENDER_REPORT:
            return SenderReportRecord(*_REPORT.unpack(data)[1:])
        if kind == RecordType.MISSED:
            return MissedRecord(*_MISSED.unpack(data)[1:])
    except struct.error as error:
        raise ValueError(f"truncated sink record of type {kind}") from error
    if kind == RecordType.CONTROL:
        return _control_decoder.decode(data[1:])
    raise ValueError(f"unknown sink record type {kind}")
