"""Schedules of meetings: time zones, recurrence (RFC 5545) and calendar files."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import icalendar
from dateutil.rrule import rrule, rruleset, rrulestr

from control.problem import Problem, not_found
from control.store.meetings import MeetingRow, Plan

_LATE = timedelta(hours=1)
_FREQUENCIES = ("FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY")
_UNTIL = re.compile(r"(?<=UNTIL=)\d{8}T\d{6}Z")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=;,+-")


def check(plan: Plan) -> None:
    """Raise Problem 400 for an invalid schedule."""
    if plan.scheduled_end is not None and (plan.scheduled_start is None or plan.scheduled_end <= plan.scheduled_start):
        raise Problem(400, "invalid_schedule", "A meeting must end after it starts.")
    zone_of(plan.time_zone)
    if plan.recurrence is not None:
        if plan.scheduled_start is None:
            raise Problem(400, "invalid_schedule", "A recurring meeting needs a start.")
        _rule(plan.recurrence, plan.scheduled_start.astimezone(zone_of(plan.time_zone)))


def next_start(meeting: MeetingRow, now: datetime) -> datetime | None:
    """Return the next start, which may be up to an hour ago, or None if the meeting is in the past."""
    if meeting.scheduled_start is None:
        return None
    earliest = now - _LATE
    if meeting.recurrence is None:
        return meeting.scheduled_start if meeting.scheduled_start > earliest else None
    # Recurrence counts in local time: nine o'clock stays nine o'clock when the clocks change.
    zone = zone_of(meeting.time_zone)
    rule = _rule(meeting.recurrence, meeting.scheduled_start.astimezone(zone))
    local = earliest.astimezone(zone).replace(tzinfo=None)
    start: datetime | None = rule.after(local)
    return None if start is None else start.replace(tzinfo=zone).astimezone(UTC)


def calendar(meeting: MeetingRow, link: str, phone: str = "") -> bytes:
    """Return the meeting as iCalendar, with the line that says how to call in; raises Problem 404 if not scheduled."""
    if meeting.scheduled_start is None:
        raise not_found("This meeting is not scheduled.")
    zone = zone_of(meeting.time_zone)
    event = icalendar.Event()
    event.add("uid", f"{meeting.id}@parley")
    event.add("dtstamp", meeting.created_at)
    event.add("summary", meeting.title)
    event.add("description", "\n\n".join(filter(None, (meeting.description, link, phone))))
    event.add("location", link)
    event.add("url", link)
    event.add("dtstart", meeting.scheduled_start.astimezone(zone))
    event.add("dtend", (meeting.scheduled_end or meeting.scheduled_start + _LATE).astimezone(zone))
    if meeting.recurrence is not None:
        event.add("rrule", icalendar.vRecur.from_ical(meeting.recurrence))
    document = icalendar.Calendar()
    document.add("prodid", "-//Parley//Parley//EN")
    document.add("version", "2.0")
    document.add_component(event)
    if meeting.time_zone != "UTC":
        document.add_missing_timezones()
    data: bytes = document.to_ical()
    return data


def zone_of(name: str) -> ZoneInfo:
    """Return an IANA time zone; raises Problem 400."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Problem(400, "time_zone", "Unknown time zone. Use an IANA name such as Europe/Berlin.") from error


def _rule(text: str, start: datetime) -> rrule:
    """Return the rule in local time; raises Problem 400."""
    refused = Problem(400, "invalid_recurrence", "The recurrence rule is invalid, or more frequent than daily.")
    parts = text.split(";")
    if not set(text) <= _LETTERS or sum(part in _FREQUENCIES for part in parts) != 1:
        raise refused
    if any(part.startswith(("BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS")) for part in parts):
        raise refused
    try:
        # In RFC 5545, UNTIL is in UTC; dateutil expects local time, like the start.
        local = _UNTIL.sub(lambda found: _local(found[0], start), text)
        rule = rrulestr(local, dtstart=start.replace(tzinfo=None))
        icalendar.vRecur.from_ical(text)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise refused from error
    if isinstance(rule, rruleset):
        raise refused
    return rule


def _local(utc: str, start: datetime) -> str:
    moment = datetime.strptime(utc, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return moment.astimezone(start.tzinfo).strftime("%Y%m%dT%H%M%S")
