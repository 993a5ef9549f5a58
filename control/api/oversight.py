"""Open invitations, the sessions of an account and the stream keys of all meetings, for administrators."""

from typing import Annotated, Literal

import msgspec

from control.api.account_types import Session, SessionQuery, Sessions
from control.api.paging import NamedQuery, PageQuery, cut, page_of, window_of
from control.api.types import Answer, Done, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import not_found
from control.store import audit, inventory, sessions
from control.store.inventory import InvitationRow, MeetingKeyRow
from sfu.api.stream_key import StreamRole

endpoints = Endpoints("administration", scope="admin")
_SESSIONS = "/api/v1/admin/users/<user>/sessions"


class OpenInvitation(Answer, frozen=True, kw_only=True):
    """An invitation to register that nobody has used. `email` is the only address that may, null if any may."""

    id: str
    email: str | None
    created_by: str | None
    created_at: Time
    expires_at: Time


class OpenInvitations(Answer, frozen=True, kw_only=True):
    invitations: list[OpenInvitation]
    next: str | None


class MeetingKey(Answer, frozen=True, kw_only=True):
    """A stream key of any meeting; `owner` is the host's user name."""

    id: str
    name: str
    role: StreamRole
    meeting: str
    title: str
    owner: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class MeetingKeys(Answer, frozen=True, kw_only=True):
    keys: list[MeetingKey]
    next: str | None


class InvitationQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the address. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at", "expires_at", "-expires_at"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


@endpoints.route("GET", "/api/v1/admin/invitations", Access.ADMIN, query=InvitationQuery, answer=OpenInvitations)
async def list_invitations(call: Call, query: InvitationQuery) -> OpenInvitations:
    """List the invitations to register that can still be used."""
    window = window_of(query, InvitationRow)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.invitations(connection, window, query.search)
    page, following = page_of(rows, query)
    return OpenInvitations(invitations=[OpenInvitation.from_row(row) for row in page], next=following)


@endpoints.route("DELETE", "/api/v1/admin/invitations/<invitation>", Access.ADMIN, answer=Done)
async def withdraw_invitation(call: Call, invitation: str) -> Done:
    """Withdraw an invitation to register."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await inventory.withdraw_invitation(connection, invitation):
            raise not_found("There is no such invitation.")
        await audit.write(connection, call.actor, "withdraw_invitation", invitation, call.address)
    return Done()


@endpoints.route("GET", _SESSIONS, Access.ADMIN, query=SessionQuery, answer=Sessions)
async def list_sessions_of_user(call: Call, user: str, query: SessionQuery) -> Sessions:
    """List the sessions of an account."""
    async with call.services.pool.acquire() as connection:
        rows = await sessions.of_user(connection, user)
    own = [Session.from_row(row, current=row.id == call.user.session) for row in rows]
    page, following = cut(Session, own, query, searched=("user_agent", "address"))
    return Sessions(sessions=page, next=following)


@endpoints.route("DELETE", f"{_SESSIONS}/<session>", Access.ADMIN, answer=Done)
async def end_session_of_user(call: Call, user: str, session: str) -> Done:
    """End a session of an account."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await sessions.revoke_own(connection, user, session):
            raise not_found("There is no such session.")
        await audit.write(connection, call.actor, "revoke_session", session, call.address, user=user)
    return Done()


@endpoints.route("GET", "/api/v1/admin/stream-keys", Access.ADMIN, query=NamedQuery, answer=MeetingKeys)
async def list_all_stream_keys(call: Call, query: NamedQuery) -> MeetingKeys:
    """List the stream keys of all meetings, newest first. `search` also matches meetings and their owners."""
    window = window_of(query, MeetingKeyRow)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.stream_keys(connection, window, query.search)
    page, following = page_of(rows, query)
    return MeetingKeys(keys=[MeetingKey.from_row(row, meeting=row.meeting_id) for row in page], next=following)
