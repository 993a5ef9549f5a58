"""Meetings: creating, listing, changing, deleting, starting and ending them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from quart import Response

from control import phone_calls, removal
from control.api.meeting_types import (
    CreateMeeting,
    Meeting,
    MeetingPage,
    MeetingSummary,
    RoomState,
    UpcomingMeeting,
    UpcomingMeetings,
    UpdateMeeting,
    WebTransport,
)
from control.api.paging import PageQuery, cut, page_of, window_of
from control.api.types import Done, MeetingStatus
from control.auth.access import Access, Standing
from control.config import ControlConfig
from control.endpoint import Call, Endpoints
from control.http import entity_tags
from control.meetings import grants, schedule, setting_changes
from control.meetings.ending import end_in_transaction, ended
from control.meetings.settings import MeetingSettings, defaults
from control.nodes import webtransport
from control.problem import Problem, not_found
from control.store import audit, breakouts, meetings, outbox, placements, recordings, rooms
from control.store.meetings import MeetingRow, Plan
from control.store.participants import Role

endpoints = Endpoints("meetings", scope="meetings")


class UpcomingQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the title. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    sort: Literal["next_start", "-next_start"] = "next_start"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ListQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the title, ignoring case."""

    sort: Literal["created_at", "-created_at", "title", "-title"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    status: MeetingStatus | None = None


def full(meeting: MeetingRow, role: Role | None, recording: str | None) -> Meeting:
    return Meeting(
        id=meeting.id,
        title=meeting.title,
        description=meeting.description,
        host=meeting.host_id,
        status=meeting.status,
        role=role,
        passcode_required=meeting.passcode_hash is not None,
        settings=grants.settings_of(meeting),
        recording=recording,
        created_at=meeting.created_at,
        scheduled_start=meeting.scheduled_start,
        scheduled_end=meeting.scheduled_end,
        time_zone=meeting.time_zone,
        recurrence=meeting.recurrence,
        started_at=meeting.started_at,
        ended_at=meeting.ended_at,
    )


def summary(config: ControlConfig, standing: Standing) -> MeetingSummary:
    meeting = standing.meeting
    settings = grants.settings_of(meeting)
    return MeetingSummary(
        id=meeting.id,
        title=meeting.title,
        status=meeting.status,
        passcode_required=meeting.passcode_hash is not None,
        guests=settings.guests and config.guests,
        locked=settings.locked,
        role=standing.role,
        consent=settings.consent,
        e2ee=settings.e2ee,
        webinar=settings.webinar,
        codec=settings.codec,
        breakout_of=meeting.breakout_of,
        recordable=config.recording and not settings.e2ee,
    )


@endpoints.route("POST", "/api/v1/meetings", Access.USER, body=CreateMeeting, answer=Meeting, status=201)
async def create_meeting(call: Call, body: CreateMeeting) -> Meeting:
    """Create a meeting hosted by the caller."""
    await call.services.limits.spend("create-meeting", call.user.user, 300, 3600)
    standard = defaults(call.services.config)
    settings = body.settings.onto(standard, standard)
    _check_retention(call, settings.keep_recordings_days)
    plan = Plan(
        title=body.title,
        description=body.description,
        passcode_hash=await call.services.passwords.hash(body.passcode) if body.passcode else None,
        settings=settings,
        scheduled_start=body.scheduled_start,
        scheduled_end=body.scheduled_end,
        time_zone=body.time_zone,
        recurrence=body.recurrence,
    )
    schedule.check(plan)
    async with call.services.pool.acquire() as connection, connection.transaction():
        meeting = await meetings.create(connection, call.user.user, plan)
        await rooms.create_state(connection, grants.first_state(meeting.id, settings))
        payload = {"meeting": meeting.id, "title": meeting.title, "host": meeting.host_id}
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting.id, "meeting.created", payload)
    return full(meeting, "host", None)


@endpoints.route("GET", "/api/v1/meetings", Access.USER, query=ListQuery, answer=MeetingPage)
async def list_meetings(call: Call, query: ListQuery) -> MeetingPage:
    """List the meetings that the caller hosts or took part in, newest first."""
    return await _page(call, query, over=False)


@endpoints.route("GET", "/api/v1/my/meetings/history", Access.USER, query=ListQuery, answer=MeetingPage)
async def list_past_meetings(call: Call, query: ListQuery) -> MeetingPage:
    """List the caller's meetings that took place, or whose time has passed, newest first."""
    return await _page(call, query, over=True)


@endpoints.route("GET", "/api/v1/my/meetings/upcoming", Access.USER, query=UpcomingQuery, answer=UpcomingMeetings)
async def list_upcoming_meetings(call: Call, query: UpcomingQuery) -> UpcomingMeetings:
    """List the caller's planned meetings by their next start, recurring ones included; at most the first 500."""
    async with call.services.pool.acquire() as connection:
        rows = await meetings.scheduled_of(connection, call.user.user)
    now = datetime.now(UTC)
    upcoming = [
        UpcomingMeeting(meeting=full(row.meeting, row.role, row.recording), next_start=start)
        for row in rows
        if (start := schedule.next_start(row.meeting, now)) is not None
    ]
    page, following = cut(UpcomingMeeting, upcoming, query)
    return UpcomingMeetings(meetings=page, next=following)


async def _page(call: Call, query: ListQuery, *, over: bool) -> MeetingPage:
    window = window_of(query, MeetingRow)
    async with call.services.pool.acquire() as connection:
        rows = await meetings.of_user(
            connection,
            call.user.user,
            window,
            over=over,
            text=query.search or None,
            status=query.status,
        )
    page, following = page_of(rows, query, holder=lambda row: row.meeting)
    return MeetingPage(meetings=[full(row.meeting, row.role, row.recording) for row in page], next=following)


@endpoints.route("GET", "/api/v1/meetings/<meeting>/summary", Access.MEETING, answer=MeetingSummary)
async def get_meeting_summary(call: Call, meeting: str) -> MeetingSummary:
    """Return the part of a meeting that anyone who knows its id may see."""
    endpoint = webtransport.of_single(call.services.registry.known())
    return msgspec.structs.replace(summary(call.services.config, call.standing), webtransport=WebTransport.of(endpoint))


@endpoints.route("GET", "/api/v1/meetings/<meeting>", Access.PARTICIPANT, answer=Meeting)
async def get_meeting(call: Call, meeting: str) -> Meeting:
    """Return the meeting, to its participants."""
    async with call.services.pool.acquire() as connection:
        running = await recordings.running(connection, meeting)
    return full(call.standing.meeting, call.standing.role, running.id if running else None)


@endpoints.route("PUT", "/api/v1/meetings/<meeting>", Access.HOST, body=UpdateMeeting, answer=Meeting)
async def update_meeting(call: Call, meeting: str, body: UpdateMeeting) -> Meeting:
    """Change the given fields. Settings take effect in a live room and its breakout rooms at once.

    With If-Match, the ETag of `GET /api/v1/meetings/{id}`, the response is 412 if the meeting has changed since.
    PATCH does the same (RFC 7396: application/merge-patch+json, or application/json).
    """
    passcode_hash = await call.services.passwords.hash(body.passcode) if isinstance(body.passcode, str) else None
    async with call.services.pool.acquire() as connection, connection.transaction():
        await breakouts.lock(connection, meeting)
        old = await meetings.by_id(connection, meeting)
        if old is None:
            raise not_found("This meeting does not exist.")
        running = await recordings.running(connection, meeting)
        entity_tags.check(call.request, full(old, call.standing.role, running.id if running else None))
        plan = _changed_plan(old, body, passcode_hash, defaults(call.services.config))
        schedule.check(plan)
        changed = await meetings.update(connection, meeting, plan)
        before, after = (grants.settings_of(one).keep_recordings_days for one in (old, changed))
        if before != after:
            _check_retention(call, after)
            await audit.write(connection, call.actor, "set_recording_retention", meeting, call.address, meeting=meeting)
        states = await setting_changes.carry(connection, changed, old)
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "meeting.updated", {"meeting": meeting})
    call.services.nodes.push(*states)
    return full(changed, call.standing.role, running.id if running else None)


endpoints.alias(endpoints.of(update_meeting), "PATCH", "/api/v1/meetings/<meeting>", "patch_meeting")


@endpoints.route("DELETE", "/api/v1/meetings/<meeting>", Access.OWNER, answer=Done)
async def delete_meeting(call: Call, meeting: str) -> Done:
    """End the meeting and delete it with all its data."""
    await removal.delete_meeting(call.services, meeting, call.actor, call.address)
    return Done()


@endpoints.route("GET", "/api/v1/meetings/<meeting>/calendar.ics", Access.MEETING, content_type="text/calendar")
async def get_calendar(call: Call, meeting: str) -> Response:
    """Return the planned meeting as a calendar file (RFC 5545) with its link.

    Its participants also get the telephone numbers and the PIN.
    """
    link = f"{call.services.config.link_origin}/m/{meeting}"
    about = call.standing.meeting
    phone = await phone_calls.invitation(call.services, about) if call.standing.role is not None else ""
    data = schedule.calendar(about, link, phone)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{meeting}.ics"'}
    return Response(data, 200, headers, content_type="text/calendar; charset=utf-8")


@endpoints.route("POST", "/api/v1/meetings/<meeting>/start", Access.HOST, answer=Done)
async def start_meeting(call: Call, meeting: str) -> Done:
    """Mark the meeting as started, before anyone is in its room."""
    if call.standing.meeting.status == "ended":
        raise ended()
    async with call.services.pool.acquire() as connection, connection.transaction():
        if call.standing.meeting.status != "active":
            await meetings.mark_active(connection, meeting, datetime.now(UTC))
            await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "meeting.started", {"meeting": meeting})
    return Done()


@endpoints.route("POST", "/api/v1/meetings/<meeting>/end", Access.HOST, answer=Done)
async def end_meeting(call: Call, meeting: str) -> Done:
    """End the meeting for everyone. Nobody can join it any more."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        states = await end_in_transaction(connection, meeting)
    call.services.nodes.push(*states)
    return Done()


@endpoints.route("GET", "/api/v1/meetings/<meeting>/room", Access.PARTICIPANT, answer=RoomState)
async def get_room(call: Call, meeting: str) -> RoomState:
    """Return the state of the meeting's live room."""
    async with call.services.pool.acquire() as connection:
        state = await rooms.state(connection, meeting)
        live = await rooms.live(connection, meeting)
        placement = await placements.of(connection, meeting)
    if state is None:
        raise not_found("This meeting does not exist.")
    return RoomState(
        meeting=meeting,
        node=None if placement is None else placement.node,
        live=live is not None,
        version=state.version,
        locked=state.locked,
        ended=state.ended,
        recording=state.recording.recording if state.recording else None,
        opened_at=live.opened_at if live else None,
    )


def _check_retention(call: Call, days: int | None) -> None:
    """Raise Problem 400 if a meeting would keep its recordings for longer than the server does."""
    limit = call.services.config.retention.recordings_days
    if days is not None and limit is not None and days > limit:
        raise Problem(400, "invalid_retention", f"This server keeps recordings for at most {limit} days.")


def _changed_plan(old: MeetingRow, body: UpdateMeeting, passcode_hash: str | None, standard: MeetingSettings) -> Plan:
    return Plan(
        title=old.title if body.title is msgspec.UNSET else body.title,
        description=old.description if body.description is msgspec.UNSET else body.description,
        passcode_hash=old.passcode_hash if body.passcode is msgspec.UNSET else passcode_hash,
        settings=old.settings
        if body.settings is msgspec.UNSET
        else body.settings.onto(grants.settings_of(old), standard),
        scheduled_start=old.scheduled_start if body.scheduled_start is msgspec.UNSET else body.scheduled_start,
        scheduled_end=old.scheduled_end if body.scheduled_end is msgspec.UNSET else body.scheduled_end,
        time_zone=old.time_zone if body.time_zone is msgspec.UNSET else body.time_zone,
        recurrence=old.recurrence if body.recurrence is msgspec.UNSET else body.recurrence,
    )
