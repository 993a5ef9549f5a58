"""Use of the server by day: calls, people, minutes, failed joins and storage, as administrators see it."""

from datetime import date
from typing import Any

import pytest

from control.database import open_pool
from control.store import usage
from tests.control.harness import People
from tests.control.test_lists import administrator

_ROWS = """
    INSERT INTO users (id, username, username_key, display_name, password_hash) VALUES ('u', 'u', 'u', 'U', '');
    INSERT INTO meetings (id, host_id, title) VALUES ('m', 'u', 'M');
    INSERT INTO meetings (id, host_id, title, breakout_of) VALUES ('b', 'u', 'B', 'm');
    INSERT INTO meeting_rooms (meeting_id, node, boot, opened_at, closed_at) VALUES
        ('m', 'n', 'b', '2026-03-01T09:00Z', '2026-03-01T10:00Z'),
        ('b', 'n', 'b', '2026-03-01T09:10Z', '2026-03-01T09:20Z'),
        ('m', 'n', 'b', '2026-03-01T23:30Z', '2026-03-02T01:00Z');
    INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash, joined_at, seat_until, main_id) VALUES
        ('ada', 'm', 'Ada', 'host', '', '2026-03-01T09:00Z', '2026-03-01T09:01Z', NULL),
        ('ada-b', 'b', 'Ada', 'host', '', '2026-03-01T09:10Z', NULL, 'ada'),
        ('bob', 'm', 'Bob', 'participant', '', '2026-03-01T23:30Z', NULL, NULL),
        ('lost', 'm', 'Lost', 'participant', '', NULL, '2026-03-01T09:05Z', NULL),
        ('invited', 'm', 'Later', 'participant', '', NULL, NULL, NULL),
        ('coming', 'm', 'Coming', 'participant', '', NULL, now() + interval '1 minute', NULL);
    INSERT INTO signaling_sessions (meeting_id, participant_id, node, joined_at, left_at) VALUES
        ('m', 'ada', 'n', '2026-03-01T09:00Z', '2026-03-01T09:10Z'),
        ('b', 'ada-b', 'n', '2026-03-01T09:10Z', '2026-03-01T09:20Z'),
        ('m', 'bob', 'n', '2026-03-01T23:30Z', '2026-03-02T01:00Z')"""


def counted(day: usage.UsageDay) -> tuple[Any, ...]:
    return (day.day.day, day.calls, day.participants, day.minutes, day.failed_joins)


async def test_days_count_what_happened_on_them(dsn: str) -> None:
    pool = await open_pool(dsn, 1)
    async with pool.acquire() as connection:
        await connection.execute(_ROWS)
        found = await usage.days(connection, date(2026, 2, 28), date(2026, 3, 2), "UTC")
        # Who is in a breakout room is the same person; a visit over midnight is on both days.
        assert [counted(day) for day in found] == [(28, 0, 0, 0, 0), (1, 2, 2, 50, 1), (2, 0, 1, 60, 0)]
        there = await usage.days(connection, date(2026, 3, 1), date(2026, 3, 2), "Asia/Shanghai")
        assert [counted(day) for day in there] == [(1, 1, 1, 20, 1), (2, 1, 1, 90, 0)]
    await pool.close()


async def test_storage_is_measured_once_a_day(dsn: str) -> None:
    pool = await open_pool(dsn, 1)
    async with pool.acquire() as connection:
        await usage.measure_storage(connection)
        await usage.measure_storage(connection)
        assert await connection.fetchval("SELECT count(*) FROM storage_days") == 1
        await connection.execute("UPDATE storage_days SET day = day - 1000")
        await usage.forget_old(connection)
        assert await connection.fetchval("SELECT count(*) FROM storage_days") == 0
    await pool.close()


async def test_administrators_ask_for_days_of_their_zone(people: People, dsn: str) -> None:
    admin = await administrator(people, dsn)
    days = (await admin.ok("GET", "/api/v1/admin/usage?days=3&time_zone=Pacific/Auckland"))["days"]
    assert len(days) == 3
    assert days[0] | {"day": ""} == {"day": "", "calls": 0, "participants": 0, "minutes": 0, "failed_joins": 0} | {
        "recording_bytes": None,
        "file_bytes": None,
    }
    assert await admin.refused("GET", "/api/v1/admin/usage?time_zone=Nowhere/Here") == (400, "time_zone")


@pytest.mark.parametrize("days", ["0", "367", "x"])
async def test_the_number_of_days_is_bounded(people: People, dsn: str, days: str) -> None:
    admin = await administrator(people, dsn)
    assert (await admin.refused("GET", f"/api/v1/admin/usage?days={days}"))[0] == 400
