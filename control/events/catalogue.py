"""Catalogue of events: each kind with its topic, the version of its schema, and the JSON Schema of its data.

Events are the same in Kafka and in webhooks. Within a version, fields are only added, so consumers ignore those that
they do not know; a change that could break a consumer raises the version, and both are announced in the changelog. The
schemas are kept in `docs/events`, and tests check every event that they cause against them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control.store import outbox
from sfu.api import facts

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class OfMeeting(msgspec.Struct, kw_only=True):
    meeting: str


class OfUser(msgspec.Struct, kw_only=True):
    user: str


class MeetingCreated(OfMeeting, kw_only=True):
    """A meeting was created; `host` is the account that owns it."""

    title: str
    host: str


class ByPerson(OfMeeting, kw_only=True):
    """`by` is the id of the account or participant that acted, `participant` the one affected ("": all)."""

    participant: str
    by: str


class RoleChanged(ByPerson, kw_only=True):
    role: str


class Muted(ByPerson, kw_only=True):
    """`muted` are the sources that are muted until a host releases them."""

    muted: list[str]


class Renamed(ByPerson, kw_only=True):
    name: str


class Removed(ByPerson, kw_only=True):
    ban: bool


class Breakouts(OfMeeting, kw_only=True):
    by: str


class BreakoutsCreated(Breakouts, kw_only=True):
    rooms: list[str]


class BreakoutsMoved(Breakouts, kw_only=True):
    """`room` is null for the main room."""

    participant: str | None
    room: str | None


class BreakoutsAnnounced(Breakouts, kw_only=True):
    text: str


class BreakoutsClosed(Breakouts, kw_only=True):
    """`at` is when the rooms close; `by` is empty if they close by themselves."""

    at: datetime


class LobbyEntered(OfMeeting, kw_only=True):
    entry: str
    name: str


class RoomClosed(OfMeeting, kw_only=True):
    reason: str


class Left(OfMeeting, kw_only=True):
    """`reason`: left, timeout, removed, banned, ended, shutdown, replaced, reassigned, consent_required, node_lost."""

    participant: str
    reason: str


class ChatEdited(OfMeeting, kw_only=True):
    message: str
    text: str


class ChatDeleted(OfMeeting, kw_only=True):
    message: str


class OfRecording(OfMeeting, kw_only=True):
    recording: str


class RecordingStarted(OfRecording, kw_only=True):
    by: str


class RecordingProcessed(OfRecording, kw_only=True):
    """`state` is ready, partial or empty."""

    state: str
    duration_ms: int
    bytes: int


class RecordingRefused(OfMeeting, kw_only=True):
    """A participant's request to start (`on`) or stop a recording was refused for the reason `code`."""

    by: str
    on: bool
    code: str


class OfBroadcast(OfMeeting, kw_only=True):
    broadcast: str


class BroadcastStarted(OfBroadcast, kw_only=True):
    by: str


class BroadcastInterrupted(OfBroadcast, kw_only=True):
    output: str
    reason: str


class BroadcastResumed(OfBroadcast, kw_only=True):
    output: str


class OfEgress(OfMeeting, kw_only=True):
    """An egress of LiveKit's server API, to a file (`recording`), live (`broadcast`), or both."""

    egress: str
    recording: str | None = None
    broadcast: str | None = None


class Transcript(OfMeeting, kw_only=True):
    """The captions of an ended meeting; `cut` is true if lines are missing because there were too many."""

    lines: int
    cut: bool
    transcript: str


class Summarized(OfMeeting, kw_only=True):
    minutes: str
    model: str


class JobCompleted(msgspec.Struct, kw_only=True):
    """The analysis of a file finished."""

    job: str
    file: str


class SynthesisJudged(JobCompleted, kw_only=True):
    """`verdict` and `evidential` are absent if there was too little material for a verdict."""

    verdict: str | None = None
    evidential: bool | None = None


class Test(msgspec.Struct, kw_only=True):
    """A test of a webhook."""

    webhook: str


@dataclass(frozen=True, slots=True)
class Kind:
    """An event's topic in Kafka, the type of its data, and its version.

    `data_of_file` is the type if the event is about a file instead of a meeting.
    """

    topic: str
    data: type[msgspec.Struct]
    version: int = 1
    data_of_file: type[msgspec.Struct] | None = None


_OF_MEETINGS: dict[str, type[msgspec.Struct]] = {
    "meeting.created": MeetingCreated,
    "meeting.updated": OfMeeting,
    "meeting.started": OfMeeting,
    "meeting.ended": OfMeeting,
    "meeting.room_closed": RoomClosed,
    "meeting.user_joined": facts.ParticipantJoined,
    "meeting.user_left": Left,
    "participant.role_changed": RoleChanged,
    "participant.muted": Muted,
    "participant.all_muted": Muted,
    "participant.renamed": Renamed,
    "participant.removed": Removed,
    "participant.readmitted": ByPerson,
    "breakouts.created": BreakoutsCreated,
    "breakouts.opened": Breakouts,
    "breakouts.moved": BreakoutsMoved,
    "breakouts.announced": BreakoutsAnnounced,
    "breakouts.closed": BreakoutsClosed,
    "lobby.entered": LobbyEntered,
    "consent.given": facts.ConsentAnswered,
}
_OF_MEDIA: dict[str, type[msgspec.Struct]] = {
    "track.published": facts.TrackPublished,
    "track.unpublished": facts.TrackUnpublished,
    "recording.started": RecordingStarted,
    "recording.stopped": OfRecording,
    "recording.refused": RecordingRefused,
    "recording.confirmed": facts.RecordingStarted,
    "recording.stalled": facts.RecordingStalled,
    "recording.resumed": facts.RecordingResumed,
    "recording.segment_closed": facts.SegmentClosed,
    "recording.processed": RecordingProcessed,
    "transcode.completed": OfRecording,
    "broadcast.started": BroadcastStarted,
    "broadcast.stopped": OfBroadcast,
    "broadcast.interrupted": BroadcastInterrupted,
    "broadcast.resumed": BroadcastResumed,
    "egress.started": OfEgress,
    "egress.updated": OfEgress,
    "egress.ended": OfEgress,
}
_OF_AI: dict[str, type[msgspec.Struct]] = {
    "meeting.transcript": Transcript,
    "meeting.summarized": Summarized,
    "emotion.completed": JobCompleted,
    "synthesis.completed": SynthesisJudged,
}
_OF_SIGNALING: dict[str, type[msgspec.Struct]] = {
    "chat.sent": facts.ChatSent,
    "chat.edited": ChatEdited,
    "chat.deleted": ChatDeleted,
}
_OF_USERS: dict[str, type[msgspec.Struct]] = {
    "user.registered": OfUser,
    "user.deleted": OfUser,
    "meeting.deleted": OfMeeting,
}
KINDS = {
    kind: Kind(topic, data)
    for topic, kinds in (
        (outbox.MEETING_EVENTS, _OF_MEETINGS),
        (outbox.MEDIA_EVENTS, _OF_MEDIA),
        (outbox.AI_EVENTS, _OF_AI),
        (outbox.SIGNALING_EVENTS, _OF_SIGNALING),
        (outbox.USER_EVENTS, _OF_USERS),
    )
    for kind, data in kinds.items()
} | {"asr.completed": Kind(outbox.AI_EVENTS, facts.CaptionFinal, data_of_file=JobCompleted)}
ONLY_WEBHOOKS = {"webhook.test": Kind("", Test)}


def version_of(kind: str) -> int:
    """Return the version of a kind's schema."""
    known = KINDS.get(kind)
    return 1 if known is None else known.version


def data_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of a kind's data."""
    if kind.data_of_file is None:
        return _schema_of(kind.data)
    of_meeting, of_file = _schema_of(kind.data), _schema_of(kind.data_of_file)
    definitions = of_meeting.pop("$defs", {}) | of_file.pop("$defs", {})
    return {"anyOf": [of_meeting, of_file]} | ({"$defs": definitions} if definitions else {})


def _schema_of(data: type[msgspec.Struct]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([data], ref_template="#/$defs/{name}")
    own: dict[str, Any] = dict(components.pop(data.__name__))
    if issubclass(data, facts.Fact):  # facts name the meeting differently, and themselves
        renamed = {"room": "meeting", "kind": None, "traceparent": None}
        fields = {renamed.get(field, field): described for field, described in own["properties"].items()}
        fields.pop(None, None)
        own["properties"] = fields
        required = [renamed.get(field, field) for field in own.get("required", [])]
        own["required"] = [field for field in required if field is not None]
    own.pop("title", None)
    if data.__doc__ is None or data in (OfMeeting, OfUser, OfRecording, OfBroadcast):
        own.pop("description", None)
    return own | ({"$defs": components} if components else {})


_ERASED: dict[str, Any] = {
    "description": "The rest of an event about somebody or something that has been deleted.",
    "type": "object",
    "required": ["erased"],
    "properties": {"erased": {"const": True}, "meeting": {"type": "string"}},
}


def event_schema(name: str, kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of an event: its envelope with the data."""
    data = data_schema(kind)
    definitions = data.pop("$defs", None)
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:parley:event:{name}:{kind.version}",
        "title": f"{name}, version {kind.version}",
        "type": "object",
        "required": ["id", "kind", "v", "seq", "at", "data"],
        "properties": {
            "id": {"type": "integer", "description": "The same in each repetition; drop ids that you know already."},
            "kind": {"const": name},
            "v": {"const": kind.version, "description": "Version of this schema."},
            "seq": {"type": "integer", "description": "Number within the meeting, without gaps; 0 without a meeting."},
            "at": {"type": "string", "format": "date-time"},
            "meeting": {"type": ["string", "null"], "description": "Only in Kafka, where it is the key, too."},
            "data": {"anyOf": [data, _ERASED]},
        },
    }
    if kind.topic:
        schema["x-topic"] = kind.topic
    return schema | ({"$defs": definitions} if definitions else {})


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose references are replaced with their definitions, for use in other documents."""
    definitions = schema.get("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(definitions[value["$ref"].rpartition("/")[2]])
            return {name: resolved(one) for name, one in value.items()}
        return [resolved(one) for one in value] if isinstance(value, list) else value

    dropped = ("$defs", "$schema", "$id")
    inline: dict[str, Any] = resolved({name: one for name, one in schema.items() if name not in dropped})
    return inline
