"""Notifications: mails to accounts about their recordings, minutes, sign-ins and meetings.

Each is a job, so an outage of the mail server delays it. Whether it is wanted, and still of use, is decided when it is
sent.
"""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

from control.database import Connection
from control.jobs import notification_texts
from control.jobs.worker import Handler, JobFailed, Report
from control.mail import MailError
from control.meetings import schedule
from control.recurring import for_each
from control.services import Services
from control.store import meetings, notifications, recordings, users
from control.store.jobs import JobRow
from control.store.meetings import MeetingRow
from control.store.users import UserRow

MOST_AN_HOUR = 20
"""Mails that an account gets in an hour; others are dropped."""
REMIND_BEFORE = timedelta(minutes=10)
_LATE = timedelta(minutes=15)
_FIRST_PAUSE_SECONDS = 60.0
_ATTEMPTS = 6


def handlers(services: Services) -> dict[str, Handler]:
    """Return the handlers of the worker of notifications."""
    return {notifications.KIND: functools.partial(_send, services)}


async def remind(services: Services) -> None:
    """Queue reminders of meetings that begin within REMIND_BEFORE."""
    now = datetime.now(UTC)
    async with services.pool.acquire() as connection:
        planned = await notifications.to_remind_of(connection)

    async def one(meeting: MeetingRow) -> None:
        start = _begins(meeting, now)
        if start is None:
            return
        async with services.pool.acquire() as connection, connection.transaction():
            if await notifications.remind(connection, meeting.id, start):
                details = {"meeting": meeting.id, "start": start.isoformat()}
                await notifications.queue(connection, meeting.host_id, "reminder", **details)

    await for_each("reminders", planned, one)


def _begins(meeting: MeetingRow, now: datetime) -> datetime | None:
    """Return the start that is within REMIND_BEFORE, if there is one."""
    assert meeting.scheduled_start is not None
    zone = schedule.zone_of(meeting.time_zone)
    # Occurrences have the local time of the first, so most meetings need no evaluation of their rule.
    first = meeting.scheduled_start.astimezone(zone).time()
    since_now = datetime.combine(now.astimezone(zone), first, zone) - now
    if not any(timedelta(0) < since_now + timedelta(days=day) <= REMIND_BEFORE for day in (0, 1)):
        return None
    # The next start counts from an hour ago.
    start = schedule.next_start(meeting, now + timedelta(hours=1))
    return start if start is not None and now < start <= now + REMIND_BEFORE else None


async def _send(services: Services, job: JobRow, _report: Report) -> Any:
    async with services.pool.acquire() as connection:
        user = await users.by_id(connection, job.subject)
        about = job.options["about"]
        switches = await notifications.of(connection, job.subject)
        if user is None or user.email is None or user.email_verified_at is None or user.state == "banned":
            return {"sent": False, "reason": "no_address"}
        if not getattr(switches, about):
            return {"sent": False, "reason": "unwanted"}
        if await notifications.sent_since(connection, user.id, 3600) >= MOST_AN_HOUR:
            return {"sent": False, "reason": "too_many"}
        values = await _values(services, connection, user, job)
    if values is None:
        return {"sent": False, "reason": "outdated"}
    off = f"{services.config.link_origin}/account#notifications"
    language = switches.language or str(job.options.get("language", ""))
    subject, text = notification_texts.mail(about, language, off, values)
    try:
        await services.mail.send(user.email, subject, text, unsubscribe=off)
    except MailError as error:
        raise JobFailed(str(error), again=True, pause=_FIRST_PAUSE_SECONDS, attempts=_ATTEMPTS) from error
    return {"sent": True}


async def _values(services: Services, connection: Connection, user: UserRow, job: JobRow) -> dict[str, str] | None:
    """Return what the text says; None if what it is about is over or deleted."""
    options, origin = job.options, services.config.link_origin
    if options["about"] == "sign_in":
        time, shown = _time(job.created_at, "UTC"), {name: str(options[name]) for name in ("address", "agent")}
        return shown | {"username": user.username, "time": time, "link": f"{origin}/account"}
    meeting = await meetings.by_id(connection, options["meeting"])
    if meeting is None:
        return None
    call = {"title": meeting.title, "link": f"{origin}/m/{meeting.id}"}
    now = datetime.now(UTC)
    match options["about"]:
        case "film":
            kept = await recordings.by_id(connection, options["recording"])
            return None if kept is None else call | {"link": f"{origin}/recordings/{kept.id}"}
        case "minutes":
            return call | {"link": f"{origin}/m/{meeting.id}/recordings"}
        case "reminder":
            start = datetime.fromisoformat(options["start"])
            clock = _time(start, meeting.time_zone)
            return None if start < now else call | {"time": clock, "clock": clock.split()[1]}
        case _:
            return None if job.created_at + _LATE < now else call


def _time(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(schedule.zone_of(zone)):%Y-%m-%d %H:%M} ({zone})"
