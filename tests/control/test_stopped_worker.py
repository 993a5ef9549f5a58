"""A worker process that is stopped past its lease and resumes: only the other worker's result is visible."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from datetime import UTC, datetime
from pathlib import Path

from control.ai.results import DatabaseResults
from control.database import Pool, open_pool
from control.store import jobs, media, users
from control.store.media import MediaRow

WORKER = """
import asyncio, os, sys
from pathlib import Path
from control.ai.results import DatabaseResults
from control.database import open_pool
from control.jobs.worker import Worker
dsn, go = sys.argv[1], Path(sys.argv[2])

async def work(job, report):
    print("began", job.attempt, flush=True)
    while not go.exists():
        await asyncio.sleep(0.02)
    return {"by": os.getpid()}

async def main():
    pool = await open_pool(dsn)
    worker = Worker(pool, {"asr": work}, lease_seconds=1.0, results=DatabaseResults(pool))
    while not await worker.do_one():
        await asyncio.sleep(0.05)
    await pool.close()

asyncio.run(main())
"""


async def worker(dsn: str, go: Path) -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, dsn, str(go), stdout=PIPE)


async def begun(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def queued(pool: Pool) -> jobs.JobRow:
    async with pool.acquire() as connection:
        user = await users.create(connection, username="ada", email=None, display_name="A", password_hash="x")
        await media.add(connection, MediaRow("file", user.id, None, "x", "audio/ogg", 1, "", False, datetime.now(UTC)))
        return await jobs.create(connection, "asr", "file", user.id, {})


async def test_one_result_is_visible(dsn: str, tmp_path: Path) -> None:
    pool = await open_pool(dsn)
    job = await queued(pool)
    async with asyncio.timeout(60):
        slow = await worker(dsn, tmp_path / "slow")
        assert await begun(slow) == b"began 1\n"
        slow.send_signal(signal.SIGSTOP)
        fast = await worker(dsn, tmp_path / "fast")
        assert await begun(fast) == b"began 2\n"
        (tmp_path / "slow").touch()
        slow.send_signal(signal.SIGCONT)
        assert await slow.wait() == 0  # it was done, and had no say any more
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT state FROM processing_jobs") == "running"
        (tmp_path / "fast").touch()
        assert await fast.wait() == 0
    async with pool.acquire() as connection:
        row = await jobs.by_id(connection, job.id)
        told = await connection.fetch("SELECT kind FROM outbox")
    assert row is not None
    assert (row.state, row.attempt, row.result) == ("done", 2, {"by": fast.pid})
    assert [one["kind"] for one in told] == ["asr.completed"]
    assert [one.result for one in await DatabaseResults(pool).about("file")] == [{"by": fast.pid}]
    await pool.close()
