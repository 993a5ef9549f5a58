"""Jobs: done once, whatever happens to their workers, and the results of inference on files."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import aiohttp
import aiohttp.web
import pytest
import pytest_asyncio

from control.ai import emotion_setting
from control.config import ControlConfig
from control.database import Connection, Pool, open_pool
from control.jobs.worker import JobFailed, Report, Worker
from control.store import jobs, users
from control.store.ai_results import AiResult
from control.store.jobs import JobRow
from foundation.failures import describe
from tests.control.harness import NODE_SECRET, Client, People, serving
from tests.control.test_media import picture, upload


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn)
    yield opened
    await opened.close()


@asynccontextmanager
async def opened(config: ControlConfig) -> AsyncIterator[Pool]:
    made = await open_pool(config.database_dsn)
    yield made
    await made.close()


async def queue(pool: Pool, count: int = 1) -> list[JobRow]:
    async with pool.acquire() as connection:
        user = await users.create(connection, username="ada", email=None, display_name="A", password_hash="x")
        return [await jobs.create(connection, "k", f"s{number}", user.id, {}) for number in range(count)]


async def state(pool: Pool, job: JobRow) -> JobRow:
    async with pool.acquire() as connection:
        row = await jobs.by_id(connection, job.id)
    assert row is not None
    return row


async def test_many_workers_do_each_job_once(pool: Pool) -> None:
    made = await queue(pool, 12)
    done: list[str] = []

    async def work(job: JobRow, report: Report) -> Any:
        done.append(job.id)
        return {"by": job.attempt}

    async def worker() -> None:
        while await Worker(pool, {"k": work}).do_one():
            pass

    await asyncio.gather(*(worker() for _ in range(4)))
    assert sorted(done) == sorted(job.id for job in made)
    assert {(await state(pool, job)).state for job in made} == {"done"}


async def test_a_worker_stopped_past_its_lease_has_no_effect(pool: Pool) -> None:
    (job,) = await queue(pool)
    async with pool.acquire() as connection:
        slow = await jobs.claim(connection, ["k"], 0.0)
        fast = await jobs.claim(connection, ["k"], 30)
        assert slow is not None and fast is not None and (slow.attempt, fast.attempt) == (1, 2)
        assert not await jobs.renew(connection, slow, 0.5, 30)
        assert not await jobs.finish(connection, slow, {"by": "slow"})
        await jobs.fail(connection, slow, "too late", again=True)
        assert await jobs.finish(connection, fast, {"by": "fast"})
        assert not await jobs.finish(connection, slow, {"by": "slow"})
    assert (await state(pool, job)).result == {"by": "fast"}


async def test_failures_are_tried_again_a_few_times(pool: Pool) -> None:
    (job,) = await queue(pool)

    async def work(job: JobRow, report: Report) -> Any:
        raise JobFailed("not now", again=True)

    worker = Worker(pool, {"k": work})
    assert [await worker.do_one() for _ in range(4)] == [True, True, True, False]
    row = await state(pool, job)
    assert (row.state, row.attempt, row.error) == ("failed", 3, "not now")


async def test_whoever_waits_is_told_of_jobs_that_failed_or_were_interrupted_too_often(pool: Pool) -> None:
    broken, unlucky = await queue(pool, 2)
    told: list[tuple[str, str | None]] = []

    async def work(job: JobRow, report: Report) -> Any:
        raise JobFailed("never")

    async def ending(connection: Connection, job: JobRow) -> None:
        assert connection.is_in_transaction()
        told.append((job.id, job.error))

    worker = Worker(pool, {"k": work}, ending=ending)
    assert await worker.do_one() and told == [(broken.id, "never")]
    async with pool.acquire() as connection:
        for _ in range(jobs.MAX_CUT_OFFS):
            claimed = await jobs.claim(connection, ["k"], 0.0)
            assert claimed is not None and claimed.id == unlucky.id
    assert not await worker.do_one()
    assert told[1:] == [(unlucky.id, "every attempt was interrupted")]


@pytest.mark.parametrize("error", [IsADirectoryError("thumbnail"), KeyError("segment"), RecursionError()])
async def test_a_job_that_breaks_fails_with_a_reason_and_the_worker_goes_on(pool: Pool, error: Exception) -> None:
    broken, sound = await queue(pool, 2)

    async def work(job: JobRow, report: Report) -> Any:
        if job.id == broken.id:
            raise error
        return {}

    worker = Worker(pool, {"k": work})
    while await worker.do_one():
        pass
    row = await state(pool, broken)
    assert (row.state, row.attempt, row.error) == ("failed", jobs.MAX_FAILURES, describe(error))
    assert (await state(pool, sound)).state == "done"


@pytest.mark.parametrize("result", [{"text": "\ud800"}, {"text": "a\0b"}, {"text": object()}])
async def test_a_result_that_nothing_can_hold_fails_its_job(pool: Pool, result: Any) -> None:
    (job,) = await queue(pool)

    async def work(job: JobRow, report: Report) -> Any:
        return result

    worker = Worker(pool, {"k": work})
    while await worker.do_one():
        pass
    row = await state(pool, job)
    assert row.state == "failed" and row.error


async def test_a_worker_that_stops_lets_go_of_its_job(pool: Pool) -> None:
    (job,) = await queue(pool)
    begun = asyncio.Event()

    async def work(job: JobRow, report: Report) -> Any:
        begun.set()
        await asyncio.Event().wait()

    for attempt in range(1, 6):
        begun.clear()
        working = asyncio.create_task(Worker(pool, {"k": work}).do_one())
        async with asyncio.timeout(30):
            await begun.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        row = await state(pool, job)
        assert (row.state, row.attempt) == ("queued", attempt)


class Unreachable:
    """A place for results that answers the second time, and notes which job's transaction it was asked in."""

    def __init__(self) -> None:
        self.asked: list[AiResult] = []

    async def keep(self, connection: Connection, result: AiResult) -> None:
        self.asked.append(result)
        if len(self.asked) == 1:
            raise OSError("nobody answers")

    async def about(self, file: str) -> list[AiResult]:
        return self.asked

    async def forget(self, files: Sequence[str]) -> None:
        self.asked.clear()

    async def close(self) -> None:
        self.asked.clear()


async def test_a_result_that_cannot_be_kept_is_made_again(pool: Pool) -> None:
    async with pool.acquire() as connection:
        user = await users.create(connection, username="ada", email=None, display_name="A", password_hash="x")
        job = await jobs.create(connection, "asr", "file_1", user.id, {})
    results = Unreachable()

    async def work(job: JobRow, report: Report) -> Any:
        return {"attempt": job.attempt}

    worker = Worker(pool, {"asr": work}, results=results)
    assert await worker.do_one()
    assert (await state(pool, job)).state == "queued"
    assert await worker.do_one()
    assert (await state(pool, job)).result == {"attempt": 2}
    assert [(one.id, one.file_id, one.task) for one in results.asked] == [(job.id, "file_1", "asr")] * 2


async def test_progress_is_seen_while_a_long_job_keeps_its_lease(pool: Pool) -> None:
    (job,) = await queue(pool)
    go_on = asyncio.Event()

    async def work(job: JobRow, report: Report) -> Any:
        report(0.5)
        await go_on.wait()
        return None

    working = asyncio.create_task(Worker(pool, {"k": work}, lease_seconds=3).do_one())
    ends: set[datetime] = set()
    async with asyncio.timeout(30), pool.acquire() as connection:
        while len(ends) < 3:  # as claimed, and renewed twice
            end = await connection.fetchval("SELECT lease_until FROM processing_jobs WHERE id = $1", job.id)
            ends |= {end} - {None}
            await asyncio.sleep(0.05)
        assert await jobs.claim(connection, ["k"], 30) is None
    assert (await state(pool, job)).progress == 0.5
    go_on.set()
    assert await working
    assert (await state(pool, job)).state == "done"


@pytest_asyncio.fixture
async def inference() -> AsyncIterator[str]:
    """Answers like inference's HTTP API."""

    async def asr(request: aiohttp.web.Request) -> aiohttp.web.Response:
        assert request.headers["Authorization"] == f"Bearer {NODE_SECRET}"
        assert await request.read() == b"RIFF....WAVEfmt sound"
        lines = [
            '{"progress": {"read_ms": 1, "duration_ms": 2, "done": false}}',
            f'{{"segment": {{"start_ms": 0, "end_ms": 9, "lang": "en", "text": "{request.query["language"]}"}}}}',
            '{"done": {"read_ms": 2, "duration_ms": 2, "done": true}}',
        ]
        return aiohttp.web.Response(text="\n".join(lines) + "\n")

    async def emotion(request: aiohttp.web.Request) -> aiohttp.web.Response:
        lines = ['{"progress": {"read_ms": 1, "duration_ms": 2, "done": false}}', '{"findings": {"pictures": 3}}']
        return aiohttp.web.Response(text="\n".join(lines) + "\n")

    async def synthesis(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"verdict": {"text": "no verdict (no model)", "evidential": False}})

    async def health(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"status": "ok", "captions": False, "reason": "no model", "model": None})

    app = aiohttp.web.Application()
    app.router.add_post("/ai/v1/asr", asr)
    app.router.add_post("/ai/v1/emotion", emotion)
    app.router.add_post("/ai/v1/synthesis", synthesis)
    app.router.add_get("/ai/v1/health", health)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def finished(client: Client, job: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            row = await client.ok("GET", f"/api/v1/jobs/{job}")
            if row["state"] in {"done", "failed"}:
                return row
            await asyncio.sleep(0.02)


async def test_files_are_understood(config: ControlConfig, inference: str) -> None:
    async with serving(replace(config, inference_url=inference)) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        _, sound = await upload(ada, b"RIFF....WAVEfmt sound")
        job = await ada.ok("POST", "/api/v1/ai/asr", {"file": sound["id"], "languages": ["en", "de"]})
        row = await finished(ada, job["id"])
        assert row["state"] == "done" and row["result"]["segments"][0]["text"] == "en,de"
        both = await ada.ok("POST", "/api/v1/ai/analyze", {"file": sound["id"], "tasks": ["synthesis", "thumbnail"]})
        rows = [await finished(ada, one["id"]) for one in both["jobs"]]
        assert [one["state"] for one in rows] == ["done", "failed"]
        kept = (await ada.ok("GET", f"/api/v1/ai/results/{sound['id']}"))["results"]
        assert [(one["id"], one["task"]) for one in kept] == [(job["id"], "asr"), (rows[0]["id"], "synthesis")]
        assert kept[0]["result"] == row["result"]
        async with opened(config) as pool, pool.acquire() as connection:
            told = await connection.fetch("SELECT kind, payload FROM outbox WHERE topic LIKE '%ai_events' ORDER BY id")
        assert [one["kind"] for one in told] == ["asr.completed", "synthesis.completed"]
        worth = {"verdict": "no verdict (no model)", "evidential": False}
        assert told[1]["payload"] == {"job": rows[0]["id"], "file": sound["id"], **worth}
        assert (await ada.ok("GET", "/api/v1/ai/health"))["reason"] == "no model"
        assert await ada.refused("POST", "/api/v1/ai/emotion", {"file": sound["id"]}) == (409, "emotion_off")
        async with opened(config) as pool, pool.acquire() as connection:
            await emotion_setting.switch(connection, "admin", "here", on=True)
        looked = await ada.ok("POST", "/api/v1/ai/emotion", {"file": sound["id"]})
        assert (await finished(ada, looked["id"]))["result"] == {"pictures": 3}
        _, image = await upload(ada, picture("PNG"))
        made = await ada.ok("POST", "/api/v1/ffmpeg/thumbnail", {"file": image["id"]})
        assert (await finished(ada, made["id"]))["state"] == "done"
        nothing = {"file": "file_0"}
        assert await ada.refused("POST", "/api/v1/ai/asr", nothing) == (404, "not_found")
