"""Jobs of workers outside this process, which claim them over the internal listener."""

import msgspec

from control.database import Connection
from control.services import Services
from control.store import egresses, films, jobs, meetings, notifications, outbox, recordings, transcript
from control.store.jobs import JobRow
from foundation.jobs import LEASE_SECONDS, ClaimedJob, JobOutcome, JobProgress, JobRequest, Said

_MAX_CAPTIONS = 50_000
_KINDS = frozenset({films.KIND, films.ORDERED})


class FilmChapter(msgspec.Struct, frozen=True, kw_only=True):
    start_ms: int
    title: str


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """Result of composing a film. `file` is its name within the recording, `storyboard` the name of its WebVTT file.

    `chapters` have a `start_ms` from the film's start, and a `title`.
    """

    file: str
    bytes: int
    sha256: str
    duration_ms: int
    storyboard: str | None = None
    chapters: list[FilmChapter] = []


async def claim(services: Services, asked: JobRequest) -> ClaimedJob | None:
    """Claim the next job for a worker; return None if there is none."""
    kinds = sorted(_KINDS.intersection(asked.kinds))
    async with services.pool.acquire() as connection, connection.transaction():
        for failed in await jobs.give_up(connection, kinds):
            await egresses.filmed(connection, failed.id)
        job = await jobs.claim(connection, kinds, LEASE_SECONDS, asked.node)
        if job is None:
            return None
        film = job.options.get("film", {})
        said = await _said(connection, job.subject) if film.get("captions", "none") != "none" else []
    return ClaimedJob(id=job.id, kind=job.kind, subject=job.subject, attempt=job.attempt, options=film, said=said)


async def _said(connection: Connection, recording: str) -> list[Said]:
    """Return the captions during a recording."""
    row = await recordings.by_id(connection, recording)
    if row is None:
        return []
    lines = await transcript.captions_within(
        connection, row.meeting_id, row.started_at, row.duration_ms or 0, _MAX_CAPTIONS
    )
    return [Said(start_ms=one.start_ms, end_ms=one.end_ms, name=one.name, text=one.text) for one in lines]


async def renew(services: Services, job: str, word: JobProgress) -> bool:
    """Renew a worker's lease; return whether it still holds the job."""
    async with services.pool.acquire() as connection:
        row = await jobs.by_id(connection, job)
        return row is not None and await jobs.renew(
            connection, jobs.attempt_of(row, word.attempt), min(1.0, max(0.0, word.progress)), LEASE_SECONDS
        )


async def settle(services: Services, job: str, outcome: JobOutcome) -> bool:
    """Store the outcome of a job, unless another worker now holds it. Raises ValueError if the result is invalid."""
    result = None if outcome.result is None else msgspec.convert(outcome.result, Composed)
    async with services.pool.acquire() as connection, connection.transaction():
        row = await jobs.by_id(connection, job)
        if row is None:
            return False
        mine = jobs.attempt_of(row, outcome.attempt)
        if outcome.released:
            return await jobs.release(connection, mine)
        if result is None:
            return await _fail(connection, mine, outcome.error, again=outcome.again)
        return await _keep(connection, mine, result)


async def _fail(connection: Connection, job: JobRow, error: str, *, again: bool) -> bool:
    """Store a failure; the last one of a film ends its egress."""
    after = await jobs.fail(connection, job, error, again=again)
    if after is not None and after.state == "failed":
        await egresses.filmed(connection, job.id)
    return after is not None


async def _keep(connection: Connection, job: JobRow, result: Composed) -> bool:
    recording = await recordings.by_id(connection, job.subject)
    meeting = None if recording is None else await meetings.lock(connection, recording.meeting_id)
    if recording is None or meeting is None:
        await _fail(connection, job, "the recording was deleted", again=False)
        return False
    kept = msgspec.to_builtins(result)
    if not await jobs.finish(connection, job, kept):
        return False
    if job.kind == films.ORDERED:
        if not await films.set_made(connection, job.id, kept):
            return False
        await egresses.filmed(connection, job.id)
    else:
        await recordings.set_composed(connection, recording.id, kept)
        await notifications.queue(connection, meeting.host_id, "film", meeting=meeting.id, recording=recording.id)
    payload = {"meeting": recording.meeting_id, "recording": recording.id, **kept}
    await outbox.append(connection, outbox.MEDIA_EVENTS, recording.meeting_id, "transcode.completed", payload)
    return True
