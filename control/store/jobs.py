"""Jobs: the truth about work to be done.

A job is claimed for the time of a lease, which its worker renews. The attempt number fences every write: a worker that
was stopped past its lease finds its number outdated, and what it writes has no effect.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from control.database import Connection, load, load_one
from control.identifiers import new_id

State = Literal["queued", "running", "done", "failed"]
MAX_ATTEMPTS = 3


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
    row = await connection.fetchrow(
        "INSERT INTO processing_jobs (id, kind, subject, owner_id, options) VALUES ($1, $2, $3, $4, $5) RETURNING *",
        new_id("job"),
        kind,
        subject,
        owner,
        options,
    )
    assert row is not None
    return load(JobRow, row)


async def by_id(connection: Connection, job: str) -> JobRow | None:
    return load_one(JobRow, await connection.fetchrow("SELECT * FROM processing_jobs WHERE id = $1", job))


async def waiting_of(connection: Connection, owner: str) -> int:
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM processing_jobs WHERE owner_id = $1 AND state IN ('queued', 'running')", owner
        )
    )


async def queue_anew(connection: Connection, kind: str, subject: str, options: dict[str, Any]) -> None:
    """Queue a job of our own; one of the same kind and subject that nobody has begun is replaced."""
    await connection.execute(
        "DELETE FROM processing_jobs WHERE kind = $1 AND subject = $2 AND state = 'queued'", kind, subject
    )
    await connection.execute(
        "INSERT INTO processing_jobs (id, kind, subject, options) VALUES ($1, $2, $3, $4)",
        new_id("job"),
        kind,
        subject,
        options,
    )


async def latest_about(connection: Connection, kind: str, subject: str) -> JobRow | None:
    row = await connection.fetchrow(
        "SELECT * FROM processing_jobs WHERE kind = $1 AND subject = $2 ORDER BY created_at DESC LIMIT 1", kind, subject
    )
    return load_one(JobRow, row)


async def forget_about(connection: Connection, subjects: list[str]) -> None:
    """Delete the jobs about what is deleted; their workers find that they hold nothing any more."""
    await connection.execute("DELETE FROM processing_jobs WHERE subject = ANY($1)", subjects)


def attempt_of(job: JobRow, attempt: int) -> JobRow:
    """Return the job as the worker of that attempt knows it."""
    return replace(job, attempt=attempt)


async def claim(
    connection: Connection, kinds: list[str], lease_seconds: float, node: str | None = None
) -> JobRow | None:
    """Claim the oldest job that waits, or whose worker let its lease lapse; None when there is none.

    With `node` only what can be done there.
    """
    row = await connection.fetchrow(
        "WITH next AS (SELECT id FROM processing_jobs WHERE kind = ANY($1)"
        "   AND ($3::text IS NULL OR options->>'node' = $3) AND (state = 'queued'"
        "   OR (state = 'running' AND lease_until < now())) ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " UPDATE processing_jobs j SET state = 'running', attempt = attempt + 1, progress = 0,"
        "  lease_until = now() + make_interval(secs => $2) FROM next WHERE j.id = next.id RETURNING j.*",
        kinds,
        lease_seconds,
        node,
    )
    return load_one(JobRow, row)


async def renew(connection: Connection, job: JobRow, progress: float, lease_seconds: float) -> bool:
    """Renew the lease; False when the job is another worker's by now."""
    found = await connection.fetchval(
        "UPDATE processing_jobs SET progress = $3, lease_until = now() + make_interval(secs => $4)"
        " WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING id",
        job.id,
        job.attempt,
        progress,
        lease_seconds,
    )
    return found is not None


async def finish(connection: Connection, job: JobRow, result: Any) -> bool:
    """Write the result; False, and nothing is written, when the job is another worker's by now."""
    found = await connection.fetchval(
        "UPDATE processing_jobs SET state = 'done', progress = 1, result = $3, error = NULL, finished_at = now()"
        " WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING id",
        job.id,
        job.attempt,
        result,
    )
    return found is not None


async def fail(connection: Connection, job: JobRow, error: str, *, again: bool) -> bool:
    """Note a failure; with `again` the job is tried anew, a few times at most. False when it is another worker's."""
    found = await connection.fetchval(
        "UPDATE processing_jobs SET state = CASE WHEN $4 AND attempt < $5 THEN 'queued' ELSE 'failed' END,"
        " error = $3, finished_at = now(), lease_until = NULL WHERE id = $1 AND attempt = $2 AND state = 'running'"
        " RETURNING id",
        job.id,
        job.attempt,
        error[:1000].encode(errors="replace").decode().replace("\0", "\ufffd"),  # what a text column takes
        again,
        MAX_ATTEMPTS,
    )
    return found is not None


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM processing_jobs WHERE finished_at < now() - interval '30 days'")
