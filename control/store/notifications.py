"""Switches of the mails that accounts get, and the mails that were sent. A mail is a job about its account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from control.database import Connection
from control.store import jobs
from control.store.meetings import MeetingRow

KIND = "notification"
"""The kind of the jobs."""
About = Literal["film", "minutes", "sign_in", "reminder", "lobby"]
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Switches:
    """`language` is a tag of the page's languages, '' if unknown. `film` is about videos of recordings."""

    film: bool = False
    minutes: bool = False
    sign_in: bool = True
    reminder: bool = False
    lobby: bool = False
    language: str = ""


async def of(connection: Connection, user: str) -> Switches:
    row = await connection.one(Switches, "SELECT * FROM notification_switches WHERE user_id = $1", user)
    return row or Switches()


async def change(connection: Connection, user: str, changed: dict[str, bool | str]) -> Switches:
    """Change switches, by name, and return all."""
    await connection.insert("notification_switches", then="ON CONFLICT DO NOTHING", user_id=user)
    columns = [name for name in Switches.__slots__ if name in changed]
    if columns:
        values = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
        await connection.execute(
            f"UPDATE notification_switches SET {values} WHERE user_id = $1",  # noqa: S608  names of declared fields
            user,
            *(changed[name] for name in columns),
        )
    return await of(connection, user)


async def queue(connection: Connection, user: str, about: About, **details: Any) -> None:
    """Queue a mail to an account, if it wants one and has a confirmed address. `details` must not name other people."""
    confirmed = await connection.fetchval(
        "SELECT email_verified_at IS NOT NULL AND email IS NOT NULL FROM users WHERE id = $1", user
    )
    if confirmed and getattr(await of(connection, user), about):
        options = {"about": about, **details}
        await jobs.queue(connection, KIND, user, options, line=user, seconds=_SECONDS)


async def sent_since(connection: Connection, user: str, seconds: float) -> int:
    """Return the number of mails sent to an account within the last `seconds`."""
    return await connection.value(
        int,
        "SELECT count(*) FROM processing_jobs WHERE kind = $1 AND subject = $2 AND result->>'sent' = 'true'"
        " AND finished_at > now() - make_interval(secs => $3)",
        KIND,
        user,
        seconds,
    )


async def queued_since(connection: Connection, user: str, about: About, meeting: str, seconds: float) -> bool:
    """Return whether a mail about a meeting was queued within the last `seconds`."""
    return await connection.value(
        bool,
        "SELECT EXISTS (SELECT FROM processing_jobs WHERE kind = $1 AND subject = $2 AND options->>'about' = $3"
        " AND options->>'meeting' = $4 AND created_at > now() - make_interval(secs => $5))",
        KIND,
        user,
        about,
        meeting,
        seconds,
    )


async def to_remind_of(connection: Connection) -> list[MeetingRow]:
    """Return the scheduled meetings of accounts that want reminders; single ones only on the day of their start."""
    return await connection.all(
        MeetingRow,
        "SELECT m.* FROM notification_switches s JOIN meetings m ON m.host_id = s.user_id"
        " WHERE s.reminder AND m.scheduled_start IS NOT NULL AND m.status <> 'ended' AND m.breakout_of IS NULL"
        " AND (m.recurrence IS NOT NULL"
        "  OR m.scheduled_start BETWEEN now() - interval '1 hour' AND now() + interval '1 day')",
    )


async def remind(connection: Connection, meeting: str, start: datetime) -> bool:
    """Note that the host is reminded of a start; return False if it was before."""
    return await connection.change(
        "UPDATE meetings SET reminded_of = $2 WHERE id = $1 AND reminded_of IS DISTINCT FROM $2", meeting, start
    )


async def host_is_there(connection: Connection, meeting: str) -> bool:
    """Return whether a host or co-host is in a meeting's room."""
    return await connection.value(
        bool,
        "SELECT EXISTS (SELECT FROM meeting_participants WHERE meeting_id = $1 AND present"
        " AND role IN ('host', 'co-host'))",
        meeting,
    )
