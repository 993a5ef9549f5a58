"""Worker of jobs. It claims them one by one, renews the lease while it works, and stops if it loses the lease."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter

from control import database_outage
from control.ai.results import KINDS, AiResults
from control.database import UNAVAILABLE, Connection, Pool
from control.store import jobs, outbox
from control.store.ai_results import AiResult
from control.store.jobs import JobRow
from foundation.failures import describe

_log = logging.getLogger(__name__)
_JOBS = Counter("parley_control_jobs_total", "Jobs that ended", ["kind", "outcome"])
LEASE_SECONDS = 30.0
_POLL_SECONDS = 1.0
_RELEASE_SECONDS = 2.0
Report = Callable[[float], None]
Handler = Callable[[JobRow, Report], Awaitable[Any]]
Ending = Callable[[Connection, JobRow], Awaitable[None]]
"""Called with a job that has failed for good, in the transaction in which it fails."""


class JobFailed(Exception):
    """The job failed; `again` is true if a retry may help, after `pause` seconds and more; see `jobs.fail`."""

    def __init__(
        self, detail: str, *, again: bool = False, pause: float = 0.0, attempts: int = jobs.MAX_FAILURES
    ) -> None:
        super().__init__(detail)
        self.again = again
        self.pause = pause
        self.attempts = attempts


class Worker:
    """Worker for jobs of the kinds in `handlers`; it stores AI results in `results`. `ending` hears of failed jobs."""

    def __init__(
        self,
        pool: Pool,
        handlers: dict[str, Handler],
        lease_seconds: float = LEASE_SECONDS,
        results: AiResults | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._pool = pool
        self._handlers = handlers
        self._lease = lease_seconds
        self._results = results
        self._ending = ending

    async def run(self) -> None:
        """Work until cancelled. While the database is unreachable, wait for it."""
        while True:
            found = False
            try:
                found = await self.do_one()
            except UNAVAILABLE as error:
                database_outage.note(error)
            if not found:
                await asyncio.sleep(_POLL_SECONDS)

    async def do_one(self) -> bool:
        """Claim and do one job; return False if there is none."""
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                for lost in await jobs.give_up(connection, list(self._handlers)):
                    await self._has_failed(connection, lost)
            job = await jobs.claim(connection, list(self._handlers), self._lease)
        if job is None:
            return False
        progress = [0.0]
        working = asyncio.ensure_future(self._handlers[job.kind](job, lambda value: progress.__setitem__(0, value)))
        try:
            while not working.done():
                await asyncio.wait((working,), timeout=self._lease / 3)
                async with self._pool.acquire() as connection:
                    if not working.done() and not await jobs.renew(connection, job, progress[0], self._lease):
                        _log.warning("another worker has taken over job %s", job.id)
                        return True
            await self._finish(job, working.result())
        except JobFailed as failed:
            await self._fail(job, failed)
        except Exception as error:  # a bug of the job or of storing its result must not affect anything else
            _log.error("job %s (%s) failed with a bug", job.id, job.kind, exc_info=error)
            await self._fail(job, JobFailed(describe(error), again=True))
        except asyncio.CancelledError:
            await self._release(job)
            raise
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

    async def _release(self, job: JobRow) -> None:
        """Release the job when the process stops. If the database does not answer, the lease expires instead."""
        try:
            async with asyncio.timeout(_RELEASE_SECONDS), self._pool.acquire() as connection:
                await jobs.release(connection, job)
        except UNAVAILABLE as error:
            _log.warning("cannot release job %s; it will be retried when its lease expires: %s", job.id, error)

    async def _fail(self, job: JobRow, failed: JobFailed) -> None:
        _log.warning("job %s (%s) failed: %s", job.id, job.kind, failed)
        async with self._pool.acquire() as connection, connection.transaction():
            after = await jobs.fail(
                connection, job, str(failed), again=failed.again, pause=failed.pause, attempts=failed.attempts
            )
            if after is not None and after.state == "failed":
                await self._has_failed(connection, after)

    async def _has_failed(self, connection: Connection, job: JobRow) -> None:
        _JOBS.labels(job.kind, "failed").inc()
        if self._ending is not None:
            await self._ending(connection, job)


async def _keep(results: AiResults, connection: Connection, job: JobRow, result: Any) -> None:
    try:
        await results.keep(connection, AiResult(job.id, job.subject, job.kind, result, datetime.now(UTC)))
    except OSError as error:
        raise JobFailed(f"the result could not be stored: {describe(error)}", again=True) from error
    except ValueError as error:
        raise JobFailed(f"the result cannot be stored: {describe(error)}") from error


async def _tell(connection: Connection, job: JobRow, result: Any) -> None:
    """Append the event of a finished AI job; a verdict includes its evidence value."""
    if job.owner_id is None:
        return
    payload: dict[str, Any] = {"job": job.id, "file": job.subject}
    if job.kind == "synthesis" and isinstance(result, dict) and isinstance(result.get("verdict"), dict):
        verdict = result["verdict"]
        payload |= {"verdict": verdict.get("text"), "evidential": verdict.get("evidential") is True}
    await outbox.append_for_user(connection, job.owner_id, f"{job.kind}.completed", payload, outbox.AI_EVENTS)
