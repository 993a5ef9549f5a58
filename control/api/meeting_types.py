"""Requests and responses of meetings and their settings."""

import msgspec

from control.api.types import Answer, Body, LongText, MeetingStatus, Passcode, Recurrence, Text, Time, TimeZone
from control.meetings.settings import ChangedSettings, MeetingSettings, VideoCodec
from control.store.participants import Role
from sfu.api.desired_state import ConsentPolicy
from sfu.api.registration import WebTransportEndpoint


class CreateMeeting(Body, frozen=True, kw_only=True):
    """`recurrence` is an RRULE (RFC 5545, section 3.3.10) such as `FREQ=WEEKLY;BYDAY=MO`, in `time_zone` (IANA).

    Settings that are absent or null have the server's default (`meeting_defaults` of `GET /api/v1/server`).
    """

    title: Text = "Meeting"
    description: LongText = ""
    passcode: Passcode | None = None
    scheduled_start: Time | None = None
    scheduled_end: Time | None = None
    time_zone: TimeZone = "UTC"
    recurrence: Recurrence | None = None
    settings: ChangedSettings = ChangedSettings()


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

    `guests` is false if the meeting or the server refuses people without an account, `recordable` if nobody can record:
    the server makes no recordings, or the meeting is end-to-end encrypted. `webtransport` is the address that a page
    may connect to before it joins, if it is already known.
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
    webinar: bool = False
    codec: VideoCodec = "VP8"
    breakout_of: str | None = None
    recordable: bool = True
    webtransport: WebTransport | None = None


class MeetingPage(Answer, frozen=True, kw_only=True):
    """`next` is the cursor of the next page, null at the end."""

    meetings: list[Meeting]
    next: str | None


class UpcomingMeeting(Answer, frozen=True, kw_only=True):
    """`next_start` is the start of the next occurrence."""

    meeting: Meeting
    next_start: Time

    @property
    def id(self) -> str:
        return self.meeting.id

    @property
    def title(self) -> str:
        return self.meeting.title


class UpcomingMeetings(Answer, frozen=True, kw_only=True):
    meetings: list[UpcomingMeeting]
    next: str | None


class RoomState(Answer, frozen=True, kw_only=True):
    """State of a meeting's live room."""

    meeting: str
    node: str | None
    live: bool
    version: int
    locked: bool
    ended: bool
    recording: str | None
    opened_at: Time | None
