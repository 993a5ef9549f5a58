"""Servers that fail under a running control process: it recovers by itself and loses nothing."""

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig
from tests.control.harness import NODE_SECRET, People, report, serving
from tests.control.restartable import RestartableServer
from tests.support.waiting import until


@pytest.fixture
def redis_server() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    directory = Path(tempfile.mkdtemp(prefix="pr"))
    socket = directory / "r.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(socket.exists)
    yield f"unix://{socket}", process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(10)
    shutil.rmtree(directory)


async def test_postgresql_restarted_under_load(config: ControlConfig, database: RestartableServer) -> None:
    changed = replace(config, database_dsn=database.cluster.dsn)
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        host = await people.user("ada")
        made = [(await host.ok("POST", "/api/v1/meetings", {}))["id"] for _ in range(4)]
        joined = {one: (await host.ok("POST", f"/api/v1/meetings/{one}/join", {}))["participant"] for one in made}

        async def reporter(number: int) -> None:
            """Repeat each batch until it is acknowledged, as nodes do."""
            for n in range(1, 26):
                facts = [
                    {
                        "kind": "consent",
                        "room": one,
                        "at": n,
                        "participant": joined[one],
                        "consent": "recording",
                        "granted": True,
                        "text": f"{number}-{n}",
                    }
                    for one in made
                ]
                batch = {"node": f"n{number}", "boot": "b", "n": n, "facts": facts}
                while not await taken(session, server.internal, batch):
                    await asyncio.sleep(0.05)

        async def restart() -> None:
            await asyncio.to_thread(database.stop)
            async with session.get(f"{server.url}/health/ready") as answer:
                assert answer.status == 503
                assert "postgresql" in (await answer.json())["down"]
            status, problem = await host.call("GET", "/api/v1/meetings")
            assert (status, problem["code"]) == (503, "database")
            await asyncio.to_thread(database.start)

        async with asyncio.timeout(60):
            await asyncio.gather(*(reporter(number) for number in range(3)), restart())
        assert len((await host.ok("GET", "/api/v1/meetings"))["meetings"]) == 4
        connection = await asyncpg.connect(database.cluster.dsn)
        for one in made:
            texts = await connection.fetch("SELECT text_version FROM consents WHERE meeting_id = $1", one)
            assert len({row["text_version"] for row in texts}) == len(texts) == 75
            seqs = await connection.fetchval(
                "SELECT array_agg(seq ORDER BY seq) FROM outbox WHERE meeting_id = $1", one
            )
            assert seqs == list(range(1, len(seqs) + 1))
        async with asyncio.timeout(30):
            while await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):
                await asyncio.sleep(0.05)
        await connection.close()


async def taken(session: aiohttp.ClientSession, internal: str, batch: dict[str, object]) -> bool:
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with session.post(f"{internal}/internal/v1/facts", json=batch, headers=headers) as answer:
        assert answer.status in {200, 503}
        return answer.status == 200


async def test_redis_gone_costs_nothing_but_sharing(
    config: ControlConfig, redis_server: tuple[str, "subprocess.Popen[bytes]"]
) -> None:
    url, process = redis_server
    async with serving(replace(config, redis_url=url)) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        host = await people.user("ada")
        assert await host.call("GET", "/health/ready") == (200, {"status": "ok", "down": {}})
        process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
        await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, n=1)
        assert time.monotonic() - started < 30
        status, health = await host.call("GET", "/health/ready")
        assert (status, health["status"]) == (200, "degraded")
        guess = {"username": "ada", "password": "guess"}
        codes = [(await people.nobody().refused("POST", "/api/v1/auth/login", guess))[1] for _ in range(12)]
        assert codes[-1] == "too_many_requests"
        process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            while (await host.call("GET", "/health/ready"))[1]["status"] != "ok":
                await asyncio.sleep(0.05)
