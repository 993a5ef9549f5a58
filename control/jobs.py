"""The worker: takes jobs one after the other, renews its lease while it works, and lets go when it has lost it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from control import emotion_setting, images
from control.ai_results import KINDS, AiResult, AiResults
from control.database import UNAVAILABLE, Connection, Pool
from control.inference_client import InferenceClient, InferenceFailed
from control.media_store import MediaStore
from control.problem import Problem
from control.store import jobs, media, outbox
from control.store.jobs import JobRow

_LOG = logging.getLogger(__name__)
_JOBS = Counter("control_jobs_total", "Jobs that ended", ["kind", "outcome"])
LEASE_SECONDS = 30.0
_POLL_SECONDS = 1.0
Report = Callable[[float], None]
Handler = Callable[[JobRow, Report], Awaitable[Any]]


class JobFailed(Exception):
    """The job cannot be done; `again` tells whether a later attempt may."""

    def __init__(self, detail: str, *, again: bool = False) -> None:
        super().__init__(detail)
        self.again = again


class Worker:
    """Does jobs of the kinds that `handlers` knows; results of understanding are kept in `results`."""

    def __init__(
        self,
        pool: Pool,
        handlers: dict[str, Handler],
        lease_seconds: float = LEASE_SECONDS,
        results: AiResults | None = None,
    ) -> None:
        self._pool = pool
        self._handlers = handlers
        self._lease = lease_seconds
        self._results = results

    async def run(self) -> None:
        """Work until cancelled; a lost database is waited for."""
        while True:
            found = False
            try:
                found = await self.do_one()
            except UNAVAILABLE as error:
                _LOG.warning("jobs wait for the database: %s", error)
            if not found:
                await asyncio.sleep(_POLL_SECONDS)

    async def do_one(self) -> bool:
        """Claim and do one job; False when there is none."""
        async with self._pool.acquire() as connection:
            job = await jobs.claim(connection, list(self._handlers), self._lease)
        if job is None:
            return False
        if job.attempt > jobs.MAX_ATTEMPTS:
            await self._fail(job, "every attempt was cut off", again=False)
            return True
        progress = [0.0]
        working = asyncio.ensure_future(self._handlers[job.kind](job, lambda value: progress.__setitem__(0, value)))
        try:
            while not working.done():
                await asyncio.wait((working,), timeout=self._lease / 3)
                async with self._pool.acquire() as connection:
                    if not working.done() and not await jobs.renew(connection, job, progress[0], self._lease):
                        _LOG.warning("job %s is another worker's by now", job.id)
                        return True
            await self._finish(job, working.result())
        except JobFailed as failed:
            await self._fail(job, str(failed), again=failed.again)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        return True

    async def _finish(self, job: JobRow, result: Any) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            if await jobs.finish(connection, job, result):
                _JOBS.labels(job.kind, "done").inc()
                if self._results is not None and job.kind in KINDS:
                    await _keep(self._results, connection, job, result)
                    await _tell(connection, job, result)

    async def _fail(self, job: JobRow, detail: str, *, again: bool) -> None:
        _LOG.warning("job %s (%s) failed: %s", job.id, job.kind, detail)
        _JOBS.labels(job.kind, "failed").inc()
        async with self._pool.acquire() as connection:
            await jobs.fail(connection, job, detail, again=again)


async def _keep(results: AiResults, connection: Connection, job: JobRow, result: Any) -> None:
    try:
        await results.keep(connection, AiResult(job.id, job.subject, job.kind, result, datetime.now(UTC)))
    except OSError as error:
        raise JobFailed(f"the result could not be kept: {error}", again=True) from error


async def _tell(connection: Connection, job: JobRow, result: Any) -> None:
    """Append the event that a file was understood; a verdict goes along with what it is worth."""
    if job.owner_id is None:
        return
    payload: dict[str, Any] = {"job": job.id, "file": job.subject}
    if job.kind == "synthesis" and isinstance(result, dict) and isinstance(result.get("verdict"), dict):
        verdict = result["verdict"]
        payload |= {"verdict": verdict.get("text"), "evidential": verdict.get("evidential") is True}
    await outbox.append_for_user(connection, job.owner_id, f"{job.kind}.completed", payload, outbox.AI_EVENTS)


def handlers(pool: Pool, store: MediaStore, inference: InferenceClient) -> dict[str, Handler]:
    """Return what each kind of job does."""

    async def transcribe(job: JobRow, report: Report) -> Any:
        segments: list[Any] = []
        summary: Any = None
        languages = [str(one) for one in job.options.get("languages", [])]
        async with _content(store, job.subject) as path:
            async for said in _translated(inference.transcribe(path, languages)):
                if "segment" in said:
                    segments.append(said["segment"])
                elif "done" in said:
                    summary = said["done"]
                else:
                    report(_share(said.get("progress")))
        if summary is None:
            raise JobFailed("inference stopped in the middle", again=True)
        return {"segments": segments, "summary": summary}

    async def look(job: JobRow, report: Report) -> Any:
        async with pool.acquire() as connection:
            if not await emotion_setting.is_on(connection):
                raise JobFailed("emotion analysis was switched off")
        async with _content(store, job.subject) as path:
            async for said in _translated(inference.emotions(path)):
                if "findings" in said:
                    return said["findings"]
                report(_share(said.get("progress")))
        raise JobFailed("inference stopped in the middle", again=True)

    async def judge(job: JobRow, report: Report) -> Any:
        try:
            async with _content(store, job.subject) as path:
                return await inference.judge_synthesis(path, str(job.options.get("medium", "voice")))
        except InferenceFailed as failed:
            raise JobFailed(str(failed), again=failed.again) from failed

    async def thumbnail(job: JobRow, report: Report) -> Any:
        async with pool.acquire() as connection:
            row = await media.by_id(connection, job.subject)
        if row is None:
            raise JobFailed("the file is gone")
        async with _content(store, row.id) as path:
            picture = await images.thumbnail(path, row.content_type)
        if picture is None:
            raise JobFailed("there is no picture in this file")
        await store.put_bytes(row.id, picture, ".jpg")
        async with pool.acquire() as connection:
            await media.set_thumbnail(connection, row.id)
        return {"file": row.id}

    return {"asr": transcribe, "emotion": look, "synthesis": judge, "thumbnail": thumbnail}


@asynccontextmanager
async def _content(store: MediaStore, identifier: str) -> AsyncIterator[Path]:
    async with AsyncExitStack() as stack:
        try:
            path = await stack.enter_async_context(store.local(identifier))
        except FileNotFoundError as error:
            raise JobFailed("the file is gone") from error
        except OSError as error:
            raise JobFailed(str(error), again=True) from error
        yield path


async def _translated(said: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    try:
        async for one in said:
            yield one
    except InferenceFailed as failed:
        raise JobFailed(str(failed), again=failed.again) from failed
    except Problem as problem:
        raise JobFailed(problem.detail) from problem


def _share(progress: Any) -> float:
    """Return the part that is done, 0 while inference does not know the length."""
    if not isinstance(progress, dict):
        return 0.0
    done, total = progress.get("read_ms", 0), progress.get("duration_ms", 0)
    return min(1.0, done / total) if isinstance(done, int | float) and isinstance(total, int | float) and total else 0.0
