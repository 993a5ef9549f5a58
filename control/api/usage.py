"""Use of the server over time, for administrators."""

from datetime import date, datetime, timedelta
from typing import Annotated

import msgspec

from control.api.types import Answer, TimeZone
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings.schedule import zone_of
from control.store import usage

endpoints = Endpoints("administration", scope="admin")


class UsageDay(Answer, frozen=True, kw_only=True):
    """A day. `failed_joins`: people who were let in and never arrived. Bytes are null on days without a measurement."""

    day: date
    calls: int
    participants: int
    minutes: int
    failed_joins: int
    recording_bytes: int | None
    file_bytes: int | None


class Usage(Answer, frozen=True, kw_only=True):
    """Every day up to today, the oldest first, of the meetings that still exist."""

    days: list[UsageDay]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`days` before and including today. Days begin and end in `time_zone` (IANA); bytes are of UTC days."""

    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 30
    time_zone: TimeZone = "UTC"


@endpoints.route("GET", "/api/v1/admin/usage", Access.ADMIN, query=UsageQuery, answer=Usage)
async def get_usage(call: Call, query: UsageQuery) -> Usage:
    """Return calls, participants, their minutes, failed joins and storage by day."""
    last = datetime.now(zone_of(query.time_zone)).date()
    first = last - timedelta(days=query.days - 1)
    async with call.services.pool.acquire() as connection:
        rows = await usage.days(connection, first, last, query.time_zone)
    return Usage(days=[UsageDay.from_row(row) for row in rows])
