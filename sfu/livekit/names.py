"""Names and numbers of the protocol, and our equivalents."""

import re

from livekit.protocol import models, rtc

from sfu.api.join_token import Source
from sfu.api.refusal import Code

SERVER_VERSION = "1.13.5"
"""The release of the reference server whose behaviour we follow; SDKs choose features by it."""
PROTOCOL = 16
PING_INTERVAL_SECONDS = 2
PING_TIMEOUT_SECONDS = 7
"""Without an answer for so long, a client connects again, which is all that brings back one whose address changed. The
reference server has 15 s."""

_PARTICIPANT, _TRACK, _ROOM = "PA_", "TR_", "RM_"
DATA_TRACK = "DTR_"
"""The beginning of data tracks' ids, which are ours too."""
_KIND = "participant_"
_OF_KIND = re.compile("[0-9a-f]{32}")
"""The form of our ids after `_KIND`."""

RIDS = {
    "q": models.VideoQuality.LOW,
    "h": models.VideoQuality.MEDIUM,
    "f": models.VideoQuality.HIGH,
}
QUALITIES = tuple(RIDS.values())

_SOURCES = {
    models.TrackSource.CAMERA: Source.CAMERA,
    models.TrackSource.MICROPHONE: Source.MICROPHONE,
    models.TrackSource.SCREEN_SHARE: Source.SCREEN,
    models.TrackSource.SCREEN_SHARE_AUDIO: Source.SCREEN_AUDIO,
}
_THEIR_SOURCES = {ours: theirs for theirs, ours in _SOURCES.items()}

_REASONS = {
    Code.REMOVED: models.DisconnectReason.PARTICIPANT_REMOVED,
    Code.BANNED: models.DisconnectReason.PARTICIPANT_REMOVED,
    Code.ENDED: models.DisconnectReason.ROOM_DELETED,
    Code.REPLACED: models.DisconnectReason.DUPLICATE_IDENTITY,
    Code.SHUTDOWN: models.DisconnectReason.SERVER_SHUTDOWN,
    Code.MOVED: models.DisconnectReason.MIGRATION,
    Code.REASSIGNED: models.DisconnectReason.MIGRATION,
    Code.UNKNOWN_SESSION: models.DisconnectReason.STATE_MISMATCH,
}
_LEFT = {
    "left": models.DisconnectReason.CLIENT_INITIATED,
    "timeout": models.DisconnectReason.CONNECTION_TIMEOUT,
    "removed": models.DisconnectReason.PARTICIPANT_REMOVED,
    "banned": models.DisconnectReason.PARTICIPANT_REMOVED,
    "ended": models.DisconnectReason.ROOM_DELETED,
    "shutdown": models.DisconnectReason.SERVER_SHUTDOWN,
    "moved": models.DisconnectReason.MIGRATION,
}
_KINDS = {
    "agent": models.ParticipantInfo.Kind.AGENT,
    "egress": models.ParticipantInfo.Kind.EGRESS,
    "ingress": models.ParticipantInfo.Kind.INGRESS,
    "notice": models.ParticipantInfo.Kind.AGENT,
    "phone": models.ParticipantInfo.Kind.SIP,
    "sip": models.ParticipantInfo.Kind.SIP,
}
_QUALITIES = {
    "good": models.ConnectionQuality.GOOD,
    "poor": models.ConnectionQuality.POOR,
    "lost": models.ConnectionQuality.LOST,
}
_RETURNS = (Code.SHUTDOWN, Code.MOVED, Code.REASSIGNED, Code.NOT_READY, Code.UNKNOWN_SESSION)


def kind_of(kind: str) -> "models.ParticipantInfo.Kind":
    return _KINDS.get(kind, models.ParticipantInfo.Kind.STANDARD)


def quality_of(quality: str, *, connected: bool) -> "models.ConnectionQuality":
    return _QUALITIES.get(quality, models.ConnectionQuality.EXCELLENT) if connected else models.ConnectionQuality.LOST


def participant_sid(participant: str) -> str:
    """Return the sid of a participant, without the name of its kind.

    The sids of a participant and a track, with a separator, must fit into a stream's id of 64 characters (RFC 8830,
    section 2): Firefox cuts off the rest.
    """
    return _PARTICIPANT + participant.removeprefix(_KIND)


def track_sid(track: str) -> str:
    return _TRACK + track


def room_sid(room: str) -> str:
    return _ROOM + room


def track_of(sid: str) -> str:
    """Return our id of a track; raises ValueError if it is not the sid of a track."""
    if sid.startswith(DATA_TRACK):
        return sid
    if not sid.startswith(_TRACK):
        raise ValueError("not the sid of a track")
    return sid.removeprefix(_TRACK)


def participant_of(sid: str) -> str:
    """Return our id of a participant; raises ValueError if it is not the sid of a participant."""
    if not sid.startswith(_PARTICIPANT):
        raise ValueError("not the sid of a participant")
    said = sid.removeprefix(_PARTICIPANT)
    return _KIND + said if _OF_KIND.fullmatch(said) else said


def source_of(source: "models.TrackSource", kind: "models.TrackType") -> Source:
    """Return our source; a track without a source counts as a microphone or a camera."""
    unsaid = Source.MICROPHONE if kind == models.TrackType.AUDIO else Source.CAMERA
    return _SOURCES.get(source, unsaid)


def known_source(source: "models.TrackSource") -> Source | None:
    """Return our source, None for an unknown one."""
    return _SOURCES.get(source)


def their_source(source: Source) -> "models.TrackSource":
    return _THEIR_SOURCES[source]


def leave_request(code: str) -> "rtc.LeaveRequest":
    """Return the reason to send to a client whose session ends with a refusal of this code."""
    known = Code(code) if code in set(Code) else None
    returns = known in _RETURNS
    action = rtc.LeaveRequest.Action.RECONNECT if returns else rtc.LeaveRequest.Action.DISCONNECT
    reason = (
        models.DisconnectReason.JOIN_FAILURE
        if known is None
        else _REASONS.get(known, models.DisconnectReason.JOIN_FAILURE)
    )
    return rtc.LeaveRequest(can_reconnect=returns, reason=reason, action=action)


def left_reason(reason: str) -> "models.DisconnectReason":
    """Return the reason why another participant left."""
    return _LEFT.get(reason, models.DisconnectReason.UNKNOWN_REASON)
