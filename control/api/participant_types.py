"""Requests and responses of joining, the lobby and participants."""

from typing import Annotated, Literal

import msgspec

from control.api.meeting_types import MeetingSummary, WebTransport
from control.api.paging import PageQuery
from control.api.types import Answer, Body, GivenPasscode, GivenRole, Metadata, Secret, Text, Time
from control.store.participants import Role
from sfu.api.join_token import Source
from sfu.api.signaling_values import IceServer


class JoinMeeting(Body, frozen=True, kw_only=True):
    """Guests must give `name`. With the `rejoin_secret` of an earlier join, the caller returns as the same participant.

    `lobby_ticket` is from a 202 response to an earlier attempt. `admission_token` is what an application's server got
    for its user: the bearer joins as that participant, with the name that the application gave. A `rejoin_secret` comes
    first.
    """

    name: Text | None = None
    passcode: GivenPasscode | None = None
    rejoin_secret: Secret | None = None
    admission_token: Secret | None = None
    lobby_ticket: Secret | None = None


class CreateAdmission(Body, frozen=True, kw_only=True):
    """`identity` is the application's own id of the person, and is shown to others in the meeting.

    Whoever joins with the same identity is the same participant, and replaces itself. `metadata` belongs to the
    application; others in the meeting see it. The token is valid for `ttl` seconds.
    """

    identity: Text
    name: Text
    role: GivenRole = "participant"
    metadata: Metadata | None = None
    ttl: Annotated[int, msgspec.Meta(ge=10, le=7 * 86400)] = 6 * 3600


class Admission(Answer, frozen=True, kw_only=True):
    """`token` is the `admission_token` of a request to `join_url`. `participant` is the person's id in this meeting.

    `page_url` opens the meeting's page as this person. It contains the token in its fragment, which browsers never send
    to a server.
    """

    token: str
    participant: str
    identity: str
    expires_at: Time
    join_url: str
    page_url: str


class Waiting(Answer, frozen=True, kw_only=True):
    """The 202 response to `join`: a host must admit the caller. Repeat it with the ticket after `retry_seconds`."""

    meeting: MeetingSummary
    lobby_ticket: str
    retry_seconds: int = 2


class LobbyEntry(Answer, frozen=True, kw_only=True):
    id: str
    user: str | None
    name: str
    since: Time


class LobbyQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000
    sort: Literal["since", "-since", "name", "-name"] = "since"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Lobby(Answer, frozen=True, kw_only=True):
    """The people waiting now."""

    waiting: list[LobbyEntry]
    next: str | None


class Joined(Answer, frozen=True, kw_only=True):
    """`token` is for the sfu: in the first signaling message, or as bearer to `whip_url` and `whep_url`, within 60 s.

    `webtransport` is an alternative to `signaling_url` that connects faster; null if there is none.
    `participant_token` is a guest's bearer token for this meeting's REST routes; null for users.
    With `start_muted` a client starts with its microphone muted; the participant can unmute it, unless a host must.
    """

    meeting: MeetingSummary
    participant: str
    name: str
    role: Role
    token: str
    signaling_url: str
    webtransport: WebTransport | None
    whip_url: str
    whep_url: str
    ice_servers: list[IceServer]
    rejoin_secret: str
    participant_token: str | None
    start_muted: bool


class Participant(Answer, frozen=True, kw_only=True):
    """`present` while in the room. `identity` is an application's own id of the person, if it gave one."""

    participant: str
    user: str | None
    identity: str | None
    name: str
    role: Role
    present: bool
    removed: bool
    joined_at: Time | None
    left_at: Time | None


class RenameParticipant(Body, frozen=True, kw_only=True):
    name: Text


class UnmuteSource(Body, frozen=True, kw_only=True):
    """A source that a host muted."""

    source: Source


class PresentQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name, ignoring case. `created_at` is the order in which they came."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000
    sort: Literal["created_at", "-created_at", "name", "-name"] = "created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ParticipantQuery(PresentQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`present` selects those in the room, or the others. `search` matches part of the name, ignoring case.

    `created_at` is the order in which they came.
    """

    present: bool | None = None


class Participants(Answer, frozen=True, kw_only=True):
    """`next` is the cursor of the next page, null at the end."""

    participants: list[Participant]
    next: str | None = None


class AddParticipant(Body, frozen=True, kw_only=True):
    """`username` may also be the e-mail address."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    role: GivenRole = "participant"


class ChangeRole(Body, frozen=True, kw_only=True):
    role: Role


class MuteParticipant(Body, frozen=True, kw_only=True):
    """Sources to mute until a host releases them; `microphone` includes shared audio. An empty list releases all."""

    muted: tuple[Source, ...]


class MuteAll(Body, frozen=True, kw_only=True):
    """Sources to mute for all but hosts; `microphone` includes shared audio. An empty list releases all."""

    muted: tuple[Source, ...] = (Source.MICROPHONE,)


class RemoveParticipant(Body, frozen=True, kw_only=True):
    """`ban` also prevents the account from returning."""

    ban: bool = False
