"""Jobs for the workers that run agents, requested by an application or by the start of a room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection
from control.identifiers import new_id

State = Literal["pending", "running", "success", "failed"]


EVERY_ROOM = ""
"""Name of agents that are sent to every room of LiveKit's clients."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job for agents with one name, or "" for those sent to every room. It is pending until a worker takes it."""

    id: str
    meeting_id: str
    room: str
    agent_name: str
    metadata: str
    attributes: dict[str, str]
    state: State
    worker: str | None
    identity: str
    error: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


async def add(
    connection: Connection,
    meeting: str,
    room: str,
    agent_name: str,
    *,
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
) -> JobRow:
    return await connection.insert_new(
        JobRow,
        "agent_jobs",
        id=new_id("job"),
        meeting_id=meeting,
        room=room,
        agent_name=agent_name,
        metadata=metadata,
        attributes=dict(attributes or {}),
    )


async def of_meeting(connection: Connection, meeting: str, limit: int = 1000) -> list[JobRow]:
    """Return the jobs that no application has ended, newest first."""
    return await connection.all(
        JobRow,
        "SELECT * FROM agent_jobs WHERE meeting_id = $1 AND NOT ended_by_api ORDER BY created_at DESC, id LIMIT $2",
        meeting,
        limit,
    )


async def claim(connection: Connection, names: Sequence[str], seconds: float) -> JobRow | None:
    """Claim the oldest pending job of the named agents for a time in which no other process can claim it."""
    return await connection.one(
        JobRow,
        "UPDATE agent_jobs SET retry_at = now() + make_interval(secs => $2) WHERE id = ("
        " SELECT id FROM agent_jobs WHERE state = 'pending' AND NOT ended_by_api AND retry_at <= now()"
        " AND agent_name = ANY($1::text[]) ORDER BY retry_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
        names,
        seconds,
    )


async def begin(connection: Connection, job: str, worker: str, identity: str) -> bool:
    """Record that a worker has taken a job; return False if the job was ended meanwhile."""
    return await connection.change(
        "UPDATE agent_jobs SET state = 'running', worker = $2, identity = $3, started_at = now()"
        " WHERE id = $1 AND state = 'pending' AND NOT ended_by_api",
        job,
        worker,
        identity,
    )


async def finish(connection: Connection, job: str, worker: str, state: State, error: str) -> None:
    """Record the outcome of a worker's job."""
    await connection.execute(
        "UPDATE agent_jobs SET state = $3, error = $4, ended_at = now()"
        " WHERE id = $1 AND worker = $2 AND state = 'running'",
        job,
        worker,
        state,
        error,
    )


async def take_over(connection: Connection, jobs: Sequence[str], worker: str) -> None:
    """Transfer running jobs to a worker that reconnected under a new id."""
    await connection.execute(
        "UPDATE agent_jobs SET worker = $2 WHERE id = ANY($1::text[]) AND state = 'running'", jobs, worker
    )


async def end(connection: Connection, meeting: str, job: str) -> JobRow | None:
    """End a job for an application; return it, so that its worker can be notified."""
    return await connection.one(
        JobRow,
        "UPDATE agent_jobs SET ended_by_api = true, ended_at = coalesce(ended_at, now())"
        " WHERE id = $1 AND meeting_id = $2 AND NOT ended_by_api RETURNING *",
        job,
        meeting,
    )


async def to_stop(connection: Connection, workers: Sequence[str]) -> list[JobRow]:
    """Return the jobs of these workers that an application has ended, each job once."""
    return await connection.all(
        JobRow,
        "UPDATE agent_jobs SET state = 'success' WHERE worker = ANY($1::text[]) AND state = 'running' AND ended_by_api"
        " RETURNING *",
        workers,
    )


async def forget_pending(connection: Connection, meeting: str) -> None:
    """Delete the jobs of a closed room that no worker has taken."""
    await connection.execute("DELETE FROM agent_jobs WHERE meeting_id = $1 AND state = 'pending'", meeting)
