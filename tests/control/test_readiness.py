"""Readiness answers quickly, whatever fails: all checks run at once, and none is waited for."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from control.config import ControlConfig
from control.live_state import LiveState
from control.readiness import Check, Readiness
from tests.control.harness import People, serving
from tests.control.restartable import RestartableServer

BOUND = 10
"""Seconds allowed on a loaded machine for work that should take one."""


async def fine() -> str | None:
    return None


async def broken() -> str | None:
    raise OSError("no route")


class Hanging:
    """A store that answers when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.thawed = asyncio.Event()

    async def ask(self) -> str | None:
        self.asked += 1
        await self.thawed.wait()
        return None


async def test_what_hangs_is_asked_once_and_holds_nothing_up() -> None:
    frozen = Hanging()
    readiness = Readiness(Check("a", fine, essential=True), Check("b", frozen.ask), Check("c", broken))
    async with asyncio.timeout(BOUND):
        for _ in range(3):
            assert await readiness.look() == ("degraded", {"b": "does not answer in time", "c": "no route"})
    assert frozen.asked == 1
    frozen.thawed.set()
    assert (await readiness.look()).down == {"c": "no route"}
    await readiness.close()


async def test_what_nothing_works_without_is_down() -> None:
    frozen = Hanging()
    readiness = Readiness(Check("a", frozen.ask, essential=True), Check("b", fine))
    assert await readiness.look() == ("down", {"a": "does not answer in time"})
    await readiness.close()


async def test_outages_are_logged_at_their_start_and_end_once_per_store(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dependencies in one store, which fail for one reason, and one whose outages others log."""
    monkeypatch.setattr("control.readiness._WATCH_SECONDS", 0.01)
    away = [False]

    async def store() -> str | None:
        return "no route" if away[0] else None

    readiness = Readiness(Check("files", store), Check("recordings", store), Check("database", store, logged=True))
    watching = asyncio.create_task(readiness.watch())

    async def logged(lines: int) -> None:
        async with asyncio.timeout(BOUND):
            while len(caplog.messages) < lines:
                await asyncio.sleep(0.01)

    try:
        for now, lines in ((True, 1), (False, 2)):
            await asyncio.sleep(0.05)
            away[0] = now
            await logged(lines)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert caplog.messages == [
        "unavailable: files and recordings: no route",
        "available again: files after 0 s and recordings after 0 s",
    ]


async def test_one_late_answer_is_no_outage(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late at every second look, as on a machine that is busy now and then; then it does not answer any more."""
    monkeypatch.setattr("control.readiness._WATCH_SECONDS", 0.0)
    monkeypatch.setattr("control.readiness._ANSWER_SECONDS", 0.01)
    looks, away = 0, False

    async def store() -> str | None:
        nonlocal looks
        looks += 1
        if looks % 2:
            await asyncio.sleep(0.015)
        if away:
            await asyncio.sleep(3600)
        return None

    readiness = Readiness(Check("files", store))
    watching = asyncio.create_task(readiness.watch())
    try:
        async with asyncio.timeout(BOUND):
            while looks < 10:
                await asyncio.sleep(0.01)
            assert caplog.messages == []
            monkeypatch.setattr("control.readiness._ANSWER_SECONDS", 0.0)
            away = True
            while not caplog.messages:
                await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await readiness.close()
    assert caplog.messages == ["unavailable: files: does not answer in time"]


async def test_a_silent_redis_is_late() -> None:
    """Its own client waits for less time than readiness does. One late answer must count as such all the same."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never, "127.0.0.1", 0)
    state = LiveState(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
    readiness = Readiness(Check("redis", state.ping))
    try:
        assert await readiness.look() == ("degraded", {"redis": "does not answer in time"})
        silent.close()
        assert await readiness.look() == ("degraded", {"redis": "does not answer"})
    finally:
        await readiness.close()
        await state.close()
        silent.close()


def family(pid: int) -> list[int]:
    """A process and all below it."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in below for one in family(int(child)))]


@contextlib.contextmanager
def frozen(server: RestartableServer) -> Iterator[None]:
    """PostgreSQL that hangs meanwhile, with all its processes."""
    stopped = family(server.pid)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_frozen_stores_are_named_and_metrics_ask_none(
    config: ControlConfig, database: RestartableServer, silent: str
) -> None:
    changed = replace(
        config,
        database_dsn=database.cluster.dsn,
        redis_url=f"redis://{silent}/0",
        mongodb_url=f"mongodb://{silent}/parley",
    )
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        nobody = People(session, server).nobody()
        status, health = await nobody.call("GET", "/health/ready")
        assert (status, health["status"], sorted(health["down"])) == (200, "degraded", ["mongodb", "redis"])
        with frozen(database):
            for _ in range(3):
                async with asyncio.timeout(BOUND):
                    status, health = await nobody.call("GET", "/health/ready")
                assert (status, sorted(health["down"])) == (503, ["mongodb", "postgresql", "redis"])
            async with asyncio.timeout(BOUND), session.get(f"{server.url}/metrics") as answer:
                assert "parley_control_database_gauges_age_seconds" in await answer.text()
        async with asyncio.timeout(30):
            while "postgresql" in (await nobody.call("GET", "/health/ready"))[1]["down"]:
                await asyncio.sleep(0.1)
