"""Requests and responses of administration."""

from typing import Annotated, Any, Literal

import msgspec

from control.api.types import Answer, Body, Email, MeetingStatus, Text, Time


class AdminUser(Answer, frozen=True, kw_only=True):
    id: str
    username: str
    display_name: str
    email: str | None
    email_verified: bool
    role: Literal["user", "admin"]
    state: Literal["active", "banned"]
    created_at: Time


class AdminUsers(Answer, frozen=True, kw_only=True):
    users: list[AdminUser]
    next: str | None


class UserQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches names and addresses."""

    search: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str | None = None


class AdministerUser(Body, frozen=True, kw_only=True):
    display_name: Text | None = None
    role: Literal["user", "admin"] | None = None


class Invite(Body, frozen=True, kw_only=True):
    """If `email` is given, only that address can use the invitation."""

    email: Email | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7


class Invitation(Answer, frozen=True, kw_only=True):
    invitation: str


class AdminMeeting(Answer, frozen=True, kw_only=True):
    id: str
    title: str
    host: str
    status: MeetingStatus
    created_at: Time
    participants: int


class AdminMeetings(Answer, frozen=True, kw_only=True):
    meetings: list[AdminMeeting]
    next: str | None


class Statistics(Answer, frozen=True, kw_only=True):
    """Counts as of now."""

    users: int
    meetings: int
    active_meetings: int
    participants_present: int
    tracks: int
    recordings: int
    recording_now: int


class AuditEntry(Answer, frozen=True, kw_only=True):
    id: int
    at: Time
    actor: str | None
    action: str
    target: str | None
    address: str
    detail: dict[str, Any]


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    before: Annotated[int, msgspec.Meta(ge=1, le=2**62)] | None = None


class AuditLog(Answer, frozen=True, kw_only=True):
    """`next` is the `before` of the next page."""

    entries: list[AuditEntry]
    next: int | None
