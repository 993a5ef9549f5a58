"""Counts and lists over all meetings, for administrators."""

from datetime import datetime

import msgspec

from control.database import Connection
from control.store.meetings import Status
from control.store.window import Window, rows


class MeetingCount(msgspec.Struct, frozen=True):
    id: str
    title: str
    host_id: str
    status: Status
    created_at: datetime
    participants: int


async def all_meetings(
    connection: Connection, window: Window, search: str = "", status: Status | None = None
) -> list[MeetingCount]:
    return await rows(
        connection,
        MeetingCount,
        "SELECT m.*, (SELECT count(*) FROM meeting_participants p WHERE p.meeting_id = m.id AND p.present)"
        " AS participants FROM meetings m"
        " WHERE m.breakout_of IS NULL AND position(lower($1) IN lower(m.title)) > 0"
        " AND ($2::text IS NULL OR m.status = $2)",
        window,
        search,
        status,
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
