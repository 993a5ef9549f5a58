"""Administration: accounts, invitations, all meetings, and the audit log. Every action is logged."""

from typing import Annotated, Any, Literal

import msgspec

from control import removal
from control.api.paging import PageQuery, page_of, window_of
from control.api.types import Answer, Body, Done, Email, MeetingStatus, Password, Text, Time, Username
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings.accounts import remove_from_rooms
from control.meetings.ending import end_in_transaction
from control.problem import Problem, not_found
from control.store import audit, invitations, meetings, outbox, statistics, users
from control.store.audit import AuditRow
from control.store.statistics import MeetingCount
from control.store.users import UserRow

endpoints = Endpoints("administration", scope="admin")


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


class UserQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches names and addresses; `role` and `state` select accounts."""

    sort: Literal["created_at", "-created_at", "username", "-username", "display_name", "-display_name"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""
    role: Literal["user", "admin"] | None = None
    state: Literal["active", "banned"] | None = None


class CreateUser(Body, frozen=True, kw_only=True):
    """An account to create. Without a password, its user signs in at an identity provider, or by a mailed link.

    The address counts as confirmed: the administrator vouches for it.
    """

    username: Username
    email: Email | None = None
    display_name: Text | None = None
    role: Literal["user", "admin"] = "user"
    password: Password | None = None


class AdministerUser(Body, frozen=True, kw_only=True):
    display_name: Text | None = None
    role: Literal["user", "admin"] | None = None


class Invite(Body, frozen=True, kw_only=True):
    """An invitation to be made; with an `email`, only that address can use it."""

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


class AdminMeetingQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the title, ignoring case; `status` selects meetings."""

    sort: Literal["created_at", "-created_at", "title", "-title"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""
    status: MeetingStatus | None = None


class AdminMeetings(Answer, frozen=True, kw_only=True):
    meetings: list[AdminMeeting]
    next: str | None


class Statistics(Answer, frozen=True, kw_only=True):
    """Current counts."""

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


class AuditQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`actor`, `action` and `target` select entries. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    sort: Literal["id", "-id"] = "-id"
    actor: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    action: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    target: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class AuditLog(Answer, frozen=True, kw_only=True):
    entries: list[AuditEntry]
    next: str | None


def admin_user(row: UserRow) -> AdminUser:
    return AdminUser.from_row(row, email_verified=row.email_verified_at is not None)


@endpoints.route("GET", "/api/v1/admin/users", Access.ADMIN, query=UserQuery, answer=AdminUsers)
async def list_users(call: Call, query: UserQuery) -> AdminUsers:
    """List accounts, newest first."""
    window = window_of(query, UserRow)
    async with call.services.pool.acquire() as connection:
        rows = await users.search(connection, query.search, window, role=query.role, state=query.state)
    page, following = page_of(rows, query)
    return AdminUsers(users=[admin_user(row) for row in page], next=following)


@endpoints.route("POST", "/api/v1/admin/users", Access.ADMIN, body=CreateUser, answer=AdminUser, status=201)
async def create_user(call: Call, body: CreateUser) -> AdminUser:
    """Create an account, even if registration is closed."""
    secret = users.NO_PASSWORD if body.password is None else await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await users.create(
            connection,
            username=body.username,
            email=body.email,
            display_name=body.display_name or body.username,
            password_hash=secret,
            role=body.role,
        )
        if body.email is not None:
            await users.take_email(connection, row.id, body.email)
        await outbox.append_for_user(connection, row.id, "user.registered", {"user": row.id})
        await audit.write(connection, call.actor, "create_user", row.id, call.address, role=body.role)
        made = await users.by_id(connection, row.id)
    assert made is not None
    return admin_user(made)


@endpoints.route("GET", "/api/v1/admin/users/<user>", Access.ADMIN, answer=AdminUser)
async def get_user(call: Call, user: str) -> AdminUser:
    """Return an account."""
    async with call.services.pool.acquire() as connection:
        row = await users.by_id(connection, user)
    if row is None:
        raise _no_user()
    return admin_user(row)


@endpoints.route("PUT", "/api/v1/admin/users/<user>", Access.ADMIN, body=AdministerUser, answer=AdminUser)
async def administer_user(call: Call, user: str, body: AdministerUser) -> AdminUser:
    """Change an account's name or role. A role change signs the account out everywhere."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if body.role == "user":
            _keep_an_admin(await users.active_admins(connection), user)
        row = await users.administer(connection, user, display_name=body.display_name, role=body.role)
        if row is None:
            raise _no_user()
        await audit.write(
            connection, call.actor, "administer_user", user, call.address, changes=msgspec.to_builtins(body)
        )
    return admin_user(row)


@endpoints.route("DELETE", "/api/v1/admin/users/<user>", Access.ADMIN, answer=Done)
async def delete_user(call: Call, user: str) -> Done:
    """Delete an account and everything it owns."""
    async with call.services.pool.acquire() as connection:
        if await users.by_id(connection, user) is None:
            raise _no_user()
    await removal.delete_account(call.services, user)
    async with call.services.pool.acquire() as connection:
        await audit.write(connection, call.actor, "delete_user", user, call.address)
    return Done()


@endpoints.route("POST", "/api/v1/admin/users/<user>/ban", Access.ADMIN, answer=AdminUser)
async def ban_user(call: Call, user: str) -> AdminUser:
    """Ban an account: it is signed out everywhere, cannot sign in, and is removed from its current rooms."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        rooms_left = await remove_from_rooms(connection, user)
        _keep_an_admin(await users.active_admins(connection), user)
        row = await users.set_state(connection, user, "banned")
        if row is None:
            raise _no_user()
        await audit.write(connection, call.actor, "ban_user", user, call.address)
    call.services.nodes.push(*rooms_left)
    return admin_user(row)


@endpoints.route("POST", "/api/v1/admin/users/<user>/unban", Access.ADMIN, answer=AdminUser)
async def unban_user(call: Call, user: str) -> AdminUser:
    """Lift the ban of an account."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await users.set_state(connection, user, "active")
        if row is None:
            raise _no_user()
        await audit.write(connection, call.actor, "unban_user", user, call.address)
    return admin_user(row)


@endpoints.route("POST", "/api/v1/admin/invitations", Access.ADMIN, body=Invite, answer=Invitation, status=201)
async def invite(call: Call, body: Invite) -> Invitation:
    """Create an invitation to register."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        code = await invitations.create(connection, call.user.user, body.email, body.days * 86400)
        await audit.write(connection, call.actor, "invite", body.email, call.address, days=body.days)
    return Invitation(invitation=code)


@endpoints.route("GET", "/api/v1/admin/meetings", Access.ADMIN, query=AdminMeetingQuery, answer=AdminMeetings)
async def list_all_meetings(call: Call, query: AdminMeetingQuery) -> AdminMeetings:
    """List all meetings, newest first."""
    window = window_of(query, MeetingCount)
    async with call.services.pool.acquire() as connection:
        rows = await statistics.all_meetings(connection, window, query.search, query.status)
    page, following = page_of(rows, query)
    return AdminMeetings(meetings=[AdminMeeting.from_row(row, host=row.host_id) for row in page], next=following)


@endpoints.route("GET", "/api/v1/admin/meetings/stats", Access.ADMIN, answer=Statistics)
async def get_statistics(call: Call) -> Statistics:
    """Return counts of accounts, meetings and recordings."""
    async with call.services.pool.acquire() as connection:
        return Statistics(**await statistics.counts(connection))


@endpoints.route("POST", "/api/v1/admin/meetings/<meeting>/force-end", Access.ADMIN, answer=Done)
async def force_end_meeting(call: Call, meeting: str) -> Done:
    """End a meeting for all."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if await meetings.by_id(connection, meeting) is None:
            raise not_found("There is no such meeting.")
        states = await end_in_transaction(connection, meeting)
        await audit.write(connection, call.actor, "force_end_meeting", meeting, call.address)
    call.services.nodes.push(*states)
    return Done()


@endpoints.route("GET", "/api/v1/admin/audit", Access.ADMIN, query=AuditQuery, answer=AuditLog)
async def read_audit_log(call: Call, query: AuditQuery) -> AuditLog:
    """Return administrative actions, newest first."""
    window = window_of(query, AuditRow)
    async with call.services.pool.acquire() as connection:
        rows = await audit.page(connection, window, audit.Filter(query.actor, query.action, query.target))
    page, following = page_of(rows, query)
    return AuditLog(entries=[AuditEntry.from_row(row) for row in page], next=following)


def _keep_an_admin(admins: list[str], user: str) -> None:
    if admins == [user]:
        raise Problem(409, "last_admin", "This is the last administrator. Make somebody else an administrator first.")


def _no_user() -> Problem:
    return not_found("This account does not exist.")
