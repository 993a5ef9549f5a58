"""Films of recordings: jobs for the recorder that finished the recording, or for any with an object store.

One film of each recording is made automatically (the composition). More can be ordered, with other options.
"""

from datetime import datetime
from typing import Any

import msgspec

from control.database import Connection
from control.store import jobs
from control.store.jobs import JobRow

KIND = "compose"
ORDERED = "film"
MOST = 20


class FilmRow(msgspec.Struct, frozen=True):
    """An ordered film. Its id is the id of its job, which is deleted some time after it ended."""

    id: str
    recording_id: str
    options: dict[str, Any]
    made: dict[str, Any] | None
    created_at: datetime


async def queue(connection: Connection, recording: str, node: str, host: str, duration_ms: int) -> None:
    """Queue the film of a recording that `node` finished, in its host's queue."""
    await jobs.queue_anew(connection, KIND, recording, {"node": node}, line=host, seconds=duration_ms / 1000)


async def latest(connection: Connection, recording: str) -> JobRow | None:
    return await jobs.latest_about(connection, KIND, recording)


async def order(
    connection: Connection, recording: str, node: str, *, host: str, duration_ms: int, film: dict[str, Any]
) -> tuple[FilmRow, JobRow]:
    """Queue a film with its own options."""
    options = {"node": node, "film": film}
    job = await jobs.queue(connection, ORDERED, recording, options, line=host, seconds=duration_ms / 1000)
    row = await connection.insert_new(FilmRow, "recording_films", id=job.id, recording_id=recording, options=film)
    return row, job


async def count(connection: Connection, recording: str) -> int:
    return await connection.value(int, "SELECT count(*) FROM recording_films WHERE recording_id = $1", recording)


async def ordered(connection: Connection, recording: str) -> list[tuple[FilmRow, JobRow | None]]:
    """Return the ordered films, newest first, each with its job while that exists."""
    rows = await connection.all(
        FilmRow, "SELECT * FROM recording_films WHERE recording_id = $1 ORDER BY created_at DESC, id", recording
    )
    known = {job.id: job for job in await jobs.by_ids(connection, [row.id for row in rows])}
    return [(row, known.get(row.id)) for row in rows]


async def of_recording(connection: Connection, recording: str, film: str) -> FilmRow | None:
    """Return an ordered film of a recording, or None if it has no such film."""
    return await connection.one(
        FilmRow, "SELECT * FROM recording_films WHERE id = $1 AND recording_id = $2", film, recording
    )


async def set_made(connection: Connection, film: str, made: dict[str, Any]) -> bool:
    """Record the result of an ordered film; return False if the film was deleted meanwhile."""
    return await connection.change("UPDATE recording_films SET made = $2 WHERE id = $1", film, made)


async def forget(connection: Connection, recording: str, film: str) -> FilmRow | None:
    """Delete an ordered film and its job, whose worker loses its lease; return the film, or None if there is none."""
    row = await connection.one(
        FilmRow, "DELETE FROM recording_films WHERE id = $1 AND recording_id = $2 RETURNING *", film, recording
    )
    if row is not None:
        await jobs.forget(connection, film)
    return row
