"""Use of the server by day, for administrators: of the meetings that still exist, and what was stored each day."""

from dataclasses import dataclass
from datetime import date, timedelta

from control.database import Connection

_KEPT_DAYS = 800
_LONGEST_VISIT = timedelta(days=2)
_DAYS = """
    WITH days AS (
        SELECT d::date AS day, d AT TIME ZONE $3 AS begins, (d + interval '1 day') AT TIME ZONE $3 AS ends
        FROM generate_series($1::date::timestamp, $2::date::timestamp, interval '1 day') AS d
    )
    SELECT day, (
        SELECT count(*) FROM meeting_rooms r JOIN meetings m ON m.id = r.meeting_id
        WHERE m.breakout_of IS NULL AND r.opened_at >= begins AND r.opened_at < ends
    ) AS calls, visits.participants, visits.minutes, (
        SELECT count(*) FROM meeting_participants p
        WHERE p.joined_at IS NULL AND p.seat_until >= begins AND p.seat_until < least(ends, now())
    ) AS failed_joins, s.recording_bytes, s.file_bytes
    FROM days LEFT JOIN storage_days s USING (day) CROSS JOIN LATERAL (
        SELECT count(DISTINCT coalesce(p.main_id, p.id)) AS participants,
            (coalesce(sum(extract(epoch FROM least(v.left_at, ends, now()) - greatest(v.joined_at, begins))), 0) / 60
            )::bigint AS minutes
        FROM signaling_sessions v JOIN meeting_participants p ON p.id = v.participant_id
        WHERE v.joined_at >= begins - $4::interval AND v.joined_at < least(ends, now())
            AND (v.left_at IS NULL OR v.left_at > begins)
    ) AS visits ORDER BY day"""


@dataclass(frozen=True, slots=True)
class UsageDay:
    """One day. `failed_joins` are people who were let in and never arrived; bytes are None without a measurement."""

    day: date
    calls: int
    participants: int
    minutes: int
    failed_joins: int
    recording_bytes: int | None
    file_bytes: int | None


async def days(connection: Connection, first: date, last: date, time_zone: str) -> list[UsageDay]:
    """Return each day from `first` to `last`, as days begin and end in an IANA time zone."""
    return [UsageDay(**row) for row in await connection.fetch(_DAYS, first, last, time_zone, _LONGEST_VISIT)]


async def measure_storage(connection: Connection) -> None:
    """Note what is stored now as today's (UTC); the last measurement of a day stays."""
    await connection.execute(
        "INSERT INTO storage_days SELECT (now() AT TIME ZONE 'UTC')::date,"
        " (SELECT coalesce(sum(bytes), 0) FROM meeting_recordings), (SELECT coalesce(sum(bytes), 0) FROM media_files)"
        " ON CONFLICT (day) DO UPDATE SET recording_bytes = excluded.recording_bytes, file_bytes = excluded.file_bytes"
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM storage_days WHERE day < current_date - $1::integer", _KEPT_DAYS)
