"""Job queue.

A job is claimed for the duration of a lease, which its worker renews. The attempt number fences every write: if a
worker was suspended beyond its lease, its number is outdated, and its writes have no effect.

A job fails for good after a few failures, or after many interrupted attempts in a row without progress. An attempt that
a stopping worker released does not count.

Scheduling is fair queueing: jobs are ordered by the time at which each would finish if every line (the jobs of one
account) had the server to itself. Short jobs come before long ones, and old jobs before new ones. Many jobs of one
account do not delay those of another.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from control.database import Connection
from control.identifiers import new_id

State = Literal["queued", "running", "done", "failed"]
MAX_FAILURES = 3
MAX_CUT_OFFS = 10
_USUAL_SECONDS = 60.0
"""Assumed duration, in seconds, of a job of unknown length."""
_INSERT = """
    INSERT INTO processing_jobs (id, kind, subject, options, owner_id, line, due_at)
    VALUES ($1, $2, $3, $4, $5, $6,
        greatest(now(), (SELECT max(due_at) FROM processing_jobs
            WHERE kind = $2 AND line = $6 AND state IN ('queued', 'running'))) + make_interval(secs => $7))
    RETURNING *"""


@dataclass(frozen=True, slots=True)
class JobRow:
    id: str
    kind: str
    subject: str
    state: State
    attempt: int
    progress: float
    result: Any
    error: str | None
    owner_id: str | None
    options: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


async def create(connection: Connection, kind: str, subject: str, owner: str, options: dict[str, Any]) -> JobRow:
    job = new_id("job")
    return await connection.new(JobRow, _INSERT, job, kind, subject, options, owner, owner, _USUAL_SECONDS)


async def by_id(connection: Connection, job: str) -> JobRow | None:
    return await connection.one(JobRow, "SELECT * FROM processing_jobs WHERE id = $1", job)


async def by_ids(connection: Connection, wanted: list[str]) -> list[JobRow]:
    return await connection.all(JobRow, "SELECT * FROM processing_jobs WHERE id = ANY($1::text[])", wanted)


async def waiting_of(connection: Connection, owner: str) -> int:
    return await connection.value(
        int, "SELECT count(*) FROM processing_jobs WHERE owner_id = $1 AND state IN ('queued', 'running')", owner
    )


async def queue_anew(
    connection: Connection,
    kind: str,
    subject: str,
    options: dict[str, Any],
    *,
    line: str = "",
    seconds: float = _USUAL_SECONDS,
) -> None:
    """Queue an internal job, replacing one of the same kind and subject that has not started.

    `line` is the account it is for, `seconds` the estimated duration.
    """
    await connection.execute(
        "DELETE FROM processing_jobs WHERE kind = $1 AND subject = $2 AND state = 'queued'", kind, subject
    )
    await queue(connection, kind, subject, options, line=line, seconds=seconds)


async def queue(
    connection: Connection, kind: str, subject: str, options: dict[str, Any], *, line: str, seconds: float
) -> JobRow:
    """Queue an internal job, in addition to others of its kind and subject."""
    return await connection.new(JobRow, _INSERT, new_id("job"), kind, subject, options, None, line, seconds)


async def latest_about(connection: Connection, kind: str, subject: str) -> JobRow | None:
    return await connection.one(
        JobRow,
        "SELECT * FROM processing_jobs WHERE kind = $1 AND subject = $2 ORDER BY created_at DESC LIMIT 1",
        kind,
        subject,
    )


async def forget_about(connection: Connection, subjects: list[str]) -> None:
    """Delete the jobs on deleted subjects; their workers lose their leases."""
    await connection.execute("DELETE FROM processing_jobs WHERE subject = ANY($1)", subjects)


async def forget(connection: Connection, job: str) -> None:
    """Delete a job; its worker loses its lease."""
    await connection.execute("DELETE FROM processing_jobs WHERE id = $1", job)


def attempt_of(job: JobRow, attempt: int) -> JobRow:
    """Return the job if this is its current attempt."""
    return replace(job, attempt=attempt)


async def give_up(connection: Connection, kinds: list[str]) -> list[JobRow]:
    """Mark the jobs that were interrupted too often as failed; return them."""
    return await connection.all(
        JobRow,
        "UPDATE processing_jobs SET state = 'failed', error = 'every attempt was interrupted', finished_at = now(),"
        "  lease_until = NULL WHERE kind = ANY($1) AND state = 'running' AND lease_until < now()"
        "  AND cut_offs + 1 >= $2 AND progress <= furthest RETURNING *",
        kinds,
        MAX_CUT_OFFS,
    )


async def claim(
    connection: Connection, kinds: list[str], lease_seconds: float, node: str | None = None
) -> JobRow | None:
    """Claim the next job that is waiting or whose lease has expired; return None if there is none.

    With `node`, only jobs that can run there are claimed. Jobs that are interrupted too often fail by `give_up`.
    """
    return await connection.one(
        JobRow,
        "WITH next AS (SELECT id FROM processing_jobs WHERE kind = ANY($1)"
        "   AND ($3::text IS NULL OR options->>'node' = $3)"
        "   AND ((state = 'queued' AND (not_before IS NULL OR not_before <= now()))"
        "   OR (state = 'running' AND lease_until < now())) ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " UPDATE processing_jobs j SET state = 'running', attempt = attempt + 1,"
        "  cut_offs = CASE WHEN progress > furthest THEN 0 WHEN state = 'running' THEN cut_offs + 1 ELSE cut_offs END,"
        "  furthest = greatest(furthest, progress), lease_until = now() + make_interval(secs => $2)"
        " FROM next WHERE j.id = next.id RETURNING j.*",
        kinds,
        lease_seconds,
        node,
    )


async def renew(connection: Connection, job: JobRow, progress: float, lease_seconds: float) -> bool:
    """Renew the lease; return False if another worker holds the job."""
    return await connection.change(
        "UPDATE processing_jobs SET progress = $3, lease_until = now() + make_interval(secs => $4)"
        " WHERE id = $1 AND attempt = $2 AND state = 'running'",
        job.id,
        job.attempt,
        progress,
        lease_seconds,
    )


async def finish(connection: Connection, job: JobRow, result: Any) -> bool:
    """Store the result; return False, without storing, if another worker holds the job."""
    return await connection.change(
        "UPDATE processing_jobs SET state = 'done', progress = 1, result = $3, error = NULL, finished_at = now()"
        " WHERE id = $1 AND attempt = $2 AND state = 'running'",
        job.id,
        job.attempt,
        result,
    )


async def fail(
    connection: Connection, job: JobRow, error: str, *, again: bool, pause: float = 0.0, attempts: int = MAX_FAILURES
) -> JobRow | None:
    """Store a failure and return the job, None if another worker holds it.

    With `again`, there are up to `attempts`: the next one `pause` seconds later, each further one after three times
    the time before.
    """
    return await connection.one(
        JobRow,
        "UPDATE processing_jobs SET state = CASE WHEN $4 AND failures + 1 < $5 THEN 'queued' ELSE 'failed' END,"
        " failures = failures + 1, not_before = now() + make_interval(secs => $6 * 3 ^ failures), error = $3,"
        " finished_at = now(), lease_until = NULL"
        " WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING *",
        job.id,
        job.attempt,
        error[:1000].encode(errors="replace").decode().replace("\0", "\ufffd"),  # a text column cannot hold NUL
        again,
        attempts,
        pause,
    )


async def release(connection: Connection, job: JobRow) -> bool:
    """Return a job to the queue; return False if another worker holds it."""
    return await connection.change(
        "UPDATE processing_jobs SET state = 'queued', lease_until = NULL"
        " WHERE id = $1 AND attempt = $2 AND state = 'running'",
        job.id,
        job.attempt,
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM processing_jobs WHERE finished_at < now() - interval '30 days'")
