"""Requests and responses of meetings and their settings."""

import msgspec

from control.api.types import Answer, Body, LongText, MeetingStatus, Passcode, Recurrence, Role, Text, Time, TimeZone
from control.meetings.settings import ChangedSettings, MeetingSettings, VideoCodec
from sfu.api.desired_state import ConsentPolicy
from sfu.api.registration import WebTransportEndpoint

VideoCodec = Literal["VP8", "VP9", "H264", "AV1"]
Capacity = Annotated[int, msgspec.Meta(ge=2, le=10000)]


class MeetingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`may_*` say what plain participants may do; hosts may do everything.

    `consent` is the policy on being recorded: everyone is asked (`ask`), joining gives consent until it is withdrawn
    (`implied`), or nobody can attend without consent (`required`). `codec` is the video codec that browsers send; they
    add VP8 if somebody cannot decode it. `mute_on_entry` asks clients of all but hosts to start muted.
    """

    guests: bool = True
    locked: bool = False
    lobby: bool = False
    mute_on_entry: bool = False
    may_share: bool = True
    may_chat: bool = True
    may_record: bool = False
    consent: ConsentPolicy = "ask"
    captions: bool = True
    e2ee: bool = False
    codec: VideoCodec = "VP8"
    capacity: Capacity = 500


class ChangedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merge patch of the settings (RFC 7396): an absent field stays, null resets it to its default."""

    guests: bool | msgspec.UnsetType | None = msgspec.UNSET
    locked: bool | msgspec.UnsetType | None = msgspec.UNSET
    lobby: bool | msgspec.UnsetType | None = msgspec.UNSET
    mute_on_entry: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_share: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_chat: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_record: bool | msgspec.UnsetType | None = msgspec.UNSET
    consent: ConsentPolicy | msgspec.UnsetType | None = msgspec.UNSET
    captions: bool | msgspec.UnsetType | None = msgspec.UNSET
    e2ee: bool | msgspec.UnsetType | None = msgspec.UNSET
    codec: VideoCodec | msgspec.UnsetType | None = msgspec.UNSET
    capacity: Capacity | msgspec.UnsetType | None = msgspec.UNSET

    def onto(self, settings: MeetingSettings) -> MeetingSettings:
        """Return the settings with this patch applied."""
        default = MeetingSettings()
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not msgspec.UNSET}
        changes = {name: getattr(default, name) if value is None else value for name, value in given.items()}
        return msgspec.structs.replace(settings, **changes)


class CreateMeeting(Body, frozen=True, kw_only=True):
    """`recurrence` is an RRULE (RFC 5545, section 3.3.10) such as `FREQ=WEEKLY;BYDAY=MO`, in `time_zone` (IANA)."""

    title: Text = "Meeting"
    description: LongText = ""
    passcode: Passcode | None = None
    scheduled_start: Time | None = None
    scheduled_end: Time | None = None
    time_zone: TimeZone = "UTC"
    recurrence: Recurrence | None = None
    settings: MeetingSettings = MeetingSettings()


class UpdateMeeting(Body, frozen=True, kw_only=True):
    """A merge patch (RFC 7396): absent fields stay, at every depth; `passcode: null` removes it."""

    title: Text | msgspec.UnsetType = msgspec.UNSET
    description: LongText | msgspec.UnsetType = msgspec.UNSET
    passcode: Passcode | msgspec.UnsetType | None = msgspec.UNSET
    scheduled_start: Time | msgspec.UnsetType | None = msgspec.UNSET
    scheduled_end: Time | msgspec.UnsetType | None = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET
    recurrence: Recurrence | msgspec.UnsetType | None = msgspec.UNSET
    settings: ChangedSettings | msgspec.UnsetType = msgspec.UNSET


class Meeting(Answer, frozen=True, kw_only=True):
    """`role` is the caller's, null if it never joined."""

    id: str
    title: str
    description: str
    host: str
    status: MeetingStatus
    role: Role | None
    passcode_required: bool
    settings: MeetingSettings
    recording: str | None
    created_at: Time
    scheduled_start: Time | None
    scheduled_end: Time | None
    time_zone: str
    recurrence: str | None
    started_at: Time | None
    ended_at: Time | None


class WebTransport(Answer, frozen=True, kw_only=True):
    """Signaling at https://{host}:{port}/wt/signaling; a null `host` is the page's own.

    `certificate_hash` is base64 of a SHA-256 for `serverCertificateHashes`; null if browsers trust the certificate.
    """

    host: str | None
    port: int
    certificate_hash: str | None

    @classmethod
    def of(cls, endpoint: WebTransportEndpoint | None) -> "WebTransport | None":
        if endpoint is None:
            return None
        return cls(host=endpoint.host or None, port=endpoint.port, certificate_hash=endpoint.hash or None)


class MeetingSummary(Answer, frozen=True, kw_only=True):
    """The part of a meeting that anyone who knows its id may see. A breakout room names its main meeting.

    `webtransport` is the address to which a page may connect before it has joined, if it is known already.
    """

    id: str
    title: str
    status: MeetingStatus
    passcode_required: bool
    guests: bool
    locked: bool
    role: Role | None = None
    consent: ConsentPolicy = "ask"
    e2ee: bool = False
    codec: VideoCodec = "VP8"
    breakout_of: str | None = None
    webtransport: WebTransport | None = None


class MeetingPage(Answer, frozen=True, kw_only=True):
    """`next` is the cursor of the next page, null at the end."""

    meetings: list[Meeting]
    next: str | None


class UpcomingMeeting(Answer, frozen=True, kw_only=True):
    """`next_start` is the start of its next occurrence."""

    meeting: Meeting
    next_start: Time


class UpcomingMeetings(Answer, frozen=True, kw_only=True):
    meetings: list[UpcomingMeeting]


class RoomState(Answer, frozen=True, kw_only=True):
    """The live side of a meeting."""

    meeting: str
    node: str | None
    live: bool
    version: int
    locked: bool
    ended: bool
    recording: str | None
    opened_at: Time | None
