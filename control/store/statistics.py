"""Counts and lists over all meetings, for administrators."""

from datetime import datetime

import msgspec

from control.database import Connection
from control.store.meetings import Status


class MeetingCount(msgspec.Struct, frozen=True):
    id: str
    title: str
    host_id: str
    status: Status
    created_at: datetime
    participants: int


async def all_meetings(connection: Connection, limit: int, before: tuple[datetime, str] | None) -> list[MeetingCount]:
    moment, last = before or (None, None)
    return await connection.all(
        MeetingCount,
        "SELECT m.*, (SELECT count(*) FROM meeting_participants p WHERE p.meeting_id = m.id AND p.present)"
        " AS participants FROM meetings m"
        " WHERE m.breakout_of IS NULL"
        " AND (m.created_at, m.id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))"
        " ORDER BY m.created_at DESC, m.id DESC LIMIT $3",
        moment,
        last,
        limit,
    )


async def counts(connection: Connection) -> dict[str, int]:
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM meetings) AS meetings,"
        " (SELECT count(*) FROM active_meeting_statistics) AS active_meetings,"
        " (SELECT count(*) FROM meeting_participants WHERE present) AS participants_present,"
        " (SELECT count(*) FROM media_streams WHERE unpublished_at IS NULL) AS tracks,"
        " (SELECT count(*) FROM meeting_recordings) AS recordings,"
        " (SELECT count(*) FROM meeting_recordings WHERE state = 'recording') AS recording_now"
    )
    assert row is not None
    return dict(row)
