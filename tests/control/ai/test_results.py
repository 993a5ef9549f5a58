"""Stores of AI results: the same tests for the database and MongoDB, and deletion with a file."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from control import reconcile
from control.ai.results import AiResults
from control.config import ControlConfig
from control.jobs.worker import Report, Worker
from control.services import Services, open_services
from control.store import jobs
from control.store.ai_results import AiResult
from control.store.jobs import JobRow
from tests.control.authorization_stage import PICTURE
from tests.control.harness import Client, People, Server, serving
from tests.support.mongodb import running_mongodb

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def mongodb() -> Iterator[str]:
    with running_mongodb() as url:
        yield url


@pytest_asyncio.fixture(params=["database", "mongodb"])
async def place(config: ControlConfig, mongodb: str, request: pytest.FixtureRequest) -> AsyncIterator[ControlConfig]:
    url = mongodb if request.param == "mongodb" else None
    async with serving(replace(config, mongodb_url=url)) as server:
        yield server.config
        await _empty(server)


async def _empty(server: Server) -> None:
    services = await open_services(replace(server.config, embedded=False))
    await services.results.forget(await services.results.files())
    await services.close()


async def a_file(people: People) -> tuple[Client, str]:
    owner = await people.user("ada")
    url = f"{owner.server.url}/api/v1/media/upload?name=a.png"
    async with owner.session.post(url, data=PICTURE, headers=owner.headers) as answer:
        return owner, str((await answer.json())["id"])


async def keep(services: Services, results: AiResults, identifier: str, file: str) -> None:
    async with services.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO processing_jobs (id, kind, subject) VALUES ($1, 'asr', $2) ON CONFLICT DO NOTHING",
            identifier,
            file,
        )
        await results.keep(connection, AiResult(identifier, file, "asr", {"text": "hello", "words": [1, 2.5]}, AT))


async def test_a_result_is_kept_once_listed_and_goes_with_its_file(people: People, place: ControlConfig) -> None:
    owner, file = await a_file(people)
    services = await open_services(replace(place, embedded=False))
    try:
        for identifier in ("job_1", "job_1", "job_2"):
            await keep(services, services.results, identifier, file)
        found = await services.results.about(file)
        assert [one.id for one in found] == ["job_1", "job_2"]
        assert found[0] == AiResult("job_1", file, "asr", {"text": "hello", "words": [1, 2.5]}, AT)
        assert await services.results.trouble() is None
        await owner.ok("DELETE", f"/api/v1/media/{file}")
        if place.mongodb_url is not None:  # another process of control deleted it there
            await services.results.forget([file])
        assert await services.results.about(file) == []
        assert await services.results.files() == []
    finally:
        await services.close()


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"text": "x" * 17_000_000}, id="above 16 MB"),
        pytest.param({"text": "\ud800"}, id="a lone surrogate"),
        pytest.param({"a\0b": 1}, id="NUL in a key"),
        pytest.param({"number": 2**70}, id="more than 64 bits"),
    ],
)
async def test_a_result_that_mongodb_cannot_hold_fails_its_job_alone(
    config: ControlConfig, people: People, mongodb: str, document: Any
) -> None:
    owner, file = await a_file(people)
    services = await open_services(replace(config, embedded=False, mongodb_url=mongodb))
    try:
        async with services.pool.acquire() as connection:
            job = await jobs.create(connection, "asr", file, owner.user["id"], {})
            assert await jobs.claim(connection, ["asr"], 30) is not None
        kept = AiResult(job.id, file, "asr", document, AT)
        async with services.pool.acquire() as connection:
            with pytest.raises(ValueError, match="MongoDB cannot store the document"):
                await services.results.keep(connection, kept)
            await connection.execute("UPDATE processing_jobs SET state = 'queued', attempt = 0")

        async def work(job: JobRow, report: Report) -> Any:
            return document

        worker = Worker(services.pool, {"asr": work}, results=services.results)
        while await worker.do_one():
            pass
        async with services.pool.acquire() as connection:
            row = await jobs.by_id(connection, job.id)
        assert row is not None and row.state == "failed" and row.error
        assert await services.results.about(file) == []
    finally:
        await services.close()


async def test_what_was_left_over_is_swept_out(config: ControlConfig, people: People, mongodb: str) -> None:
    _, file = await a_file(people)
    services = await open_services(replace(config, embedded=False, mongodb_url=mongodb))
    try:
        for identifier, about in (("job_1", file), ("job_2", "file_long_gone")):
            await keep(services, services.results, identifier, about)
        async with services.pool.acquire() as connection:
            await reconcile._sweep_results(services, connection)
        assert await services.results.files() == [file]
        await services.results.forget([file])
    finally:
        await services.close()


async def test_a_mongodb_that_is_away_is_named_and_delays_nothing_else(config: ControlConfig, dsn: str) -> None:
    away = replace(config, mongodb_url="mongodb://127.0.0.1:9/parley")
    async with (
        serving(away) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        people = People(session, server)
        owner, file = await a_file(people)
        assert (await owner.call("GET", "/health/ready"))[1]["down"]["mongodb"].startswith("does not answer")
        assert await owner.refused("GET", f"/api/v1/ai/results/{file}") == (503, "results_unavailable")
        await owner.ok("DELETE", f"/api/v1/media/{file}")
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM media_files") == 0
        await connection.close()
