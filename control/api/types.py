"""Request and answer bodies of the REST API: the OpenAPI document is made from these.

Unknown fields of requests are refused. Times are RFC 3339 in UTC unless a name ends in `_ms`.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from sfu.api.join_token import Source
from sfu.api.signaling import IceServer

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
LongText = Annotated[str, msgspec.Meta(max_length=4000)]
Username = Annotated[str, msgspec.Meta(min_length=2, max_length=64, pattern=r"^[\w.@+-]+$")]
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=1024)]
GivenPassword = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Passcode = Annotated[str, msgspec.Meta(max_length=64)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
TimeZone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Recurrence = Annotated[str, msgspec.Meta(min_length=5, max_length=200)]
Role = Literal["host", "co-host", "participant", "viewer"]
MeetingStatus = Literal["scheduled", "active", "idle", "ended"]
RecordingStatus = Literal["recording", "sealing", "ready", "partial"]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of answers."""


class Done(Answer, frozen=True, kw_only=True):
    """The answer of what has nothing else to say."""

    ok: bool = True


# Accounts


class Register(Body, frozen=True, kw_only=True):
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    invitation: Secret | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Setup(Body, frozen=True, kw_only=True):
    """Makes the first administrator; `token` is from the link printed at first start."""

    token: Secret
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Login(Body, frozen=True, kw_only=True):
    """`username` may also be the e-mail address; `code` is the second factor's, where the account has one."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    password: GivenPassword
    code: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Refresh(Body, frozen=True, kw_only=True):
    """In token mode the refresh token is here, otherwise in its cookie."""

    refresh_token: Secret | None = None


class User(Answer, frozen=True, kw_only=True):
    id: str
    username: str
    display_name: str
    role: Literal["user", "admin"]
    email: str | None
    email_verified: bool
    created_at: datetime


class SignedIn(Answer, frozen=True, kw_only=True):
    """Tokens are null in cookie mode. `csrf_token` goes into X-CSRF-Token of unsafe requests."""

    user: User
    csrf_token: str
    expires_in: int
    access_token: str | None = None
    refresh_token: str | None = None


class CsrfToken(Answer, frozen=True, kw_only=True):
    csrf_token: str


class UpdateProfile(Body, frozen=True, kw_only=True):
    display_name: Text | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType | None = msgspec.UNSET


class ChangePassword(Body, frozen=True, kw_only=True):
    current_password: GivenPassword
    new_password: Password


class ServerInfo(Answer, frozen=True, kw_only=True):
    """What a page must know before anyone signs in."""

    registration: Literal["open", "invite", "domain", "closed"]
    setup_needed: bool
    https_port: int | None = None
    """Where the same page is served with TLS; null when it is not."""
    identity_providers: list[str] = []
    """Each is begun with at `/api/v1/auth/oidc/{name}/start`."""


# Meetings


class MeetingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`may_*` say what plain participants may do; hosts may everything."""

    guests: bool = True
    locked: bool = False
    lobby: bool = False
    mute_on_entry: bool = False
    may_share: bool = True
    may_chat: bool = True
    may_record: bool = False
    captions: bool = True
    e2ee: bool = False
    capacity: Annotated[int, msgspec.Meta(ge=2, le=10000)] = 500


class CreateMeeting(Body, frozen=True, kw_only=True):
    """`recurrence` is an RRULE (RFC 5545, section 3.3.10) such as `FREQ=WEEKLY;BYDAY=MO`, in `time_zone` (IANA)."""

    title: Text = "Meeting"
    description: LongText = ""
    passcode: Passcode | None = None
    scheduled_start: datetime | None = None
    scheduled_end: datetime | None = None
    time_zone: TimeZone = "UTC"
    recurrence: Recurrence | None = None
    settings: MeetingSettings = MeetingSettings()


class UpdateMeeting(Body, frozen=True, kw_only=True):
    """Absent fields stay; `passcode: null` removes it."""

    title: Text | msgspec.UnsetType = msgspec.UNSET
    description: LongText | msgspec.UnsetType = msgspec.UNSET
    passcode: Passcode | msgspec.UnsetType | None = msgspec.UNSET
    scheduled_start: datetime | msgspec.UnsetType | None = msgspec.UNSET
    scheduled_end: datetime | msgspec.UnsetType | None = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET
    recurrence: Recurrence | msgspec.UnsetType | None = msgspec.UNSET
    settings: MeetingSettings | msgspec.UnsetType = msgspec.UNSET


class Meeting(Answer, frozen=True, kw_only=True):
    """`role` is the reader's own, null when it never joined."""

    id: str
    title: str
    description: str
    host: str
    status: MeetingStatus
    role: Role | None
    passcode_required: bool
    settings: MeetingSettings
    recording: str | None
    created_at: datetime
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    time_zone: str
    recurrence: str | None
    started_at: datetime | None
    ended_at: datetime | None


class MeetingSummary(Answer, frozen=True, kw_only=True):
    """What anyone who knows the id may see: enough for a join page."""

    id: str
    title: str
    status: MeetingStatus
    passcode_required: bool
    guests: bool
    locked: bool
    role: Role | None = None


class MeetingPage(Answer, frozen=True, kw_only=True):
    """`next` is the cursor of the following page, null at the end."""

    meetings: list[Meeting]
    next: str | None


class UpcomingMeeting(Answer, frozen=True, kw_only=True):
    """`next_start` is of the next time it takes place."""

    meeting: Meeting
    next_start: datetime


class UpcomingMeetings(Answer, frozen=True, kw_only=True):
    meetings: list[UpcomingMeeting]


class JoinMeeting(Body, frozen=True, kw_only=True):
    """Guests give `name`; users may. `rejoin_secret` of an earlier join returns as the same participant.

    `lobby_ticket` is from the answer 202 of an earlier attempt.
    """

    name: Text | None = None
    passcode: Passcode | None = None
    rejoin_secret: Secret | None = None
    lobby_ticket: Secret | None = None


class Waiting(Answer, frozen=True, kw_only=True):
    """Answer 202 to `join`: a host must let the caller in. Ask again with the ticket after `retry_seconds`."""

    meeting: MeetingSummary
    lobby_ticket: str
    retry_seconds: int = 2


class LobbyEntry(Answer, frozen=True, kw_only=True):
    id: str
    user: str | None
    name: str
    since: datetime


class Lobby(Answer, frozen=True, kw_only=True):
    """Who waits now."""

    waiting: list[LobbyEntry]


class Joined(Answer, frozen=True, kw_only=True):
    """`token` is for the sfu: in the first signaling message, or as bearer to `whip_url` and `whep_url`, within 60 s.

    `participant_token` is the guest's bearer for this meeting's REST routes; null for users.
    """

    meeting: MeetingSummary
    participant: str
    name: str
    role: Role
    token: str
    signaling_url: str
    whip_url: str
    whep_url: str
    ice_servers: list[IceServer]
    rejoin_secret: str
    participant_token: str | None


class Participant(Answer, frozen=True, kw_only=True):
    """`present` while in the room."""

    participant: str
    user: str | None
    name: str
    role: Role
    present: bool
    removed: bool
    joined_at: datetime | None
    left_at: datetime | None


class Participants(Answer, frozen=True, kw_only=True):
    participants: list[Participant]


class AddParticipant(Body, frozen=True, kw_only=True):
    """`username` may also be the e-mail address."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    role: Literal["co-host", "participant", "viewer"] = "participant"


class ChangeRole(Body, frozen=True, kw_only=True):
    role: Role


class MuteParticipant(Body, frozen=True, kw_only=True):
    """Sources that a host holds muted from now on; an empty list releases all."""

    muted: tuple[Source, ...]


class MuteAll(Body, frozen=True, kw_only=True):
    """Sources to hold muted for everyone but hosts; an empty list releases all."""

    muted: tuple[Source, ...] = (Source.MICROPHONE,)


class RemoveParticipant(Body, frozen=True, kw_only=True):
    """`ban` also keeps the account from coming back."""

    ban: bool = False


class RoomState(Answer, frozen=True, kw_only=True):
    """The live side of a meeting."""

    meeting: str
    node: str | None
    live: bool
    version: int
    locked: bool
    ended: bool
    recording: str | None
    opened_at: datetime | None


# Recordings and captions


class Recording(Answer, frozen=True, kw_only=True):
    """`recording`, then `sealing` while it is finished, then `ready`, or `partial` when something was lost."""

    id: str
    meeting: str
    title: str
    state: RecordingStatus
    started_at: datetime
    stopped_at: datetime | None
    duration_ms: int | None
    bytes: int | None


class Recordings(Answer, frozen=True, kw_only=True):
    recordings: list[Recording]


class RecordedTrack(Answer, frozen=True, kw_only=True):
    """One track of a finished recording, in one file or more. `start_ms` is since the start of the recording."""

    track: str
    participant: str
    name: str
    source: str
    codec: str
    start_ms: int
    duration_ms: int
    files: list[str]


class RecordingDetail(Answer, frozen=True, kw_only=True):
    """Files are relative to `/api/v1/recordings/{id}/files/`."""

    recording: Recording
    tracks: list[RecordedTrack]


class CaptionLine(Answer, frozen=True, kw_only=True):
    """Times are on the meeting clock: milliseconds since the room opened."""

    utterance: str
    participant: str
    name: str
    start_ms: int
    end_ms: int
    lang: str
    text: str


class Captions(Answer, frozen=True, kw_only=True):
    captions: list[CaptionLine]


class ChatMessage(Answer, frozen=True, kw_only=True):
    id: str
    participant: str
    name: str
    text: str
    to: str | None
    at: datetime
    edited_at: datetime | None


class EditMessage(Body, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class ChatPage(Answer, frozen=True, kw_only=True):
    """Newest last. `next` leads to older ones."""

    messages: list[ChatMessage]
    next: str | None


class Health(Answer, frozen=True, kw_only=True):
    """`down` names what does not work and why."""

    status: Literal["ok", "degraded", "down"]
    down: dict[str, str] = {}
