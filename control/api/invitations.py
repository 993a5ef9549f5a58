"""Invitations to a meeting by mail, with its link and, if it is planned, a calendar file."""

from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from control import phone_calls
from control.api.types import Body, Done, Email
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.mail import MailError
from control.meetings import schedule
from control.problem import Problem, forbidden
from control.store import audit, users
from control.store.meetings import MeetingRow

endpoints = Endpoints("meetings", scope="meetings")


class InvitePeople(Body, frozen=True, kw_only=True):
    emails: Annotated[list[Email], msgspec.Meta(min_length=1, max_length=20)]


@endpoints.route("POST", "/api/v1/meetings/<meeting>/invitations", Access.HOST, body=InvitePeople, answer=Done)
async def invite_people(call: Call, meeting: str, body: InvitePeople) -> Done:
    """Mail the meeting's link to people, in the caller's name. Replies go to the caller's confirmed address."""
    if call.principal is None or call.principal.user is None:
        raise forbidden("Guests may not send invitations.")
    if not call.services.mail.configured:
        raise Problem(409, "no_mail_server", "This server has no mail server. Share the link instead.")
    async with call.services.pool.acquire() as connection:
        user = await users.by_id(connection, call.user.user)
    if user is None or user.email is None or user.email_verified_at is None:
        # Recipients must be able to see who sent the mail, and strangers must not be able to send any.
        raise Problem(403, "email_unconfirmed", "Confirm an e-mail address in your account first: replies go there.")
    await call.services.limits.spend("invite-people", user.id, 30, 3600)
    async with call.services.pool.acquire() as connection:
        await audit.write(connection, user.id, "invite_people", meeting, call.address, people=len(body.emails))
    row = call.standing.meeting
    link = f"{call.services.config.link_origin}/m/{meeting}"
    phone = await phone_calls.invitation(call.services, row)
    text = _text(row, user.display_name, link, phone)
    file = schedule.calendar(row, link, phone) if row.scheduled_start is not None else None
    sender = user.email

    async def send() -> None:
        for address in sorted(set(body.emails)):
            try:
                await call.services.mail.send(address, f"Invitation: {row.title}", text, reply_to=sender, calendar=file)
            except MailError as error:
                call.services.tasks.log_failure(error)

    call.services.tasks.start(send())
    return Done()


def _text(meeting: MeetingRow, name: str, link: str, phone: str) -> str:
    parts = [f"{name} invites you to “{meeting.title}”."]
    if meeting.scheduled_start is not None:
        start = meeting.scheduled_start.astimezone(ZoneInfo(meeting.time_zone))
        parts.append(f"{start:%A, %-d %B %Y, %H:%M} ({meeting.time_zone})")
    if meeting.description:
        parts.append(meeting.description)
    parts.append(f"Join: {link}")
    if phone:
        parts.append(phone)
    if meeting.passcode_hash is not None:
        parts.append(f"The meeting has a passcode. {name} can tell you.")
    return "\n\n".join(parts)
