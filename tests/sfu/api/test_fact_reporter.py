"""One reporter for every part: bounded, counted by outcome, with refusals and unreachable control distinguished."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from foundation import control_outage
from foundation.outages import Outages
from sfu.api.fact_reporter import FactReporter
from sfu.api.facts import FactAcknowledgement, RoomOpened, decode_batch
from tests.support.waiting import eventually

FACT = RoomOpened(room="r", at=1)


def reporter(url: str, *, max_waiting: int = 100) -> tuple[FactReporter, Counter[str]]:
    outcomes: Counter[str] = Counter()

    def count(outcome: str, number: int) -> None:
        outcomes[outcome] += number

    return FactReporter(url, "secret", "node-1", count=count, max_waiting=max_waiting), outcomes


@asynccontextmanager
async def control(statuses: list[int]) -> AsyncIterator[str]:
    """Answer with each status in turn, then acknowledge."""

    async def facts(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        batch = decode_batch(await request.read())
        status = statuses.pop(0) if statuses else 200
        return web.Response(status=status, body=msgspec.json.encode(FactAcknowledgement(acknowledged=batch.n)))

    app = web.Application()
    app.router.add_post("/internal/v1/facts", facts)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(one: FactReporter) -> AsyncIterator[None]:
    task = asyncio.create_task(one.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_fact_is_acknowledged_once_control_is_there() -> None:
    async with control([503]) as url:
        facts, outcomes = reporter(url)
        delivered = facts.report(FACT)
        async with running(facts):
            assert await delivered is True
            await facts.drained(30)
    assert facts.waiting == 0
    assert outcomes == {"retried": 1, "acknowledged": 1}


async def test_a_refused_fact_is_given_up_and_the_next_is_heard() -> None:
    async with control([422]) as url:
        facts, outcomes = reporter(url)
        async with running(facts):
            assert await facts.report(FACT) is False
            assert await facts.report(FACT) is True
    assert outcomes == {"refused": 1, "acknowledged": 1}


async def test_without_control_the_oldest_facts_go_first(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_outage, "_failing", {})  # other tests leave outages
    monkeypatch.setattr(control_outage, "_outage", Outages("control does not answer"))
    facts, outcomes = reporter("http://127.0.0.1:1", max_waiting=5)
    told = [facts.report(FACT) for _ in range(8)]
    assert [future.done() and not future.result() for future in told] == [True] * 3 + [False] * 5
    assert outcomes == {"overflowed": 3}
    async with running(facts):
        await eventually(lambda: outcomes["retried"] >= 10)  # twice the five
    assert [record.levelname for record in caplog.records] == ["WARNING"], "said once, not at each attempt"
    for future in told:
        future.cancel()


async def test_without_a_url_facts_are_dropped_at_once() -> None:
    facts, outcomes = reporter("")
    assert await facts.report(FACT) is False
    assert outcomes == {"dropped": 1}
