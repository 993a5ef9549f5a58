"""Control under load: 400 requests per second that list 50 of 10,000 meetings, for 100 users, with a real PostgreSQL.

Control runs as a separate process on the last core; PostgreSQL and this process, the client, use the others. Requests
are sent at a fixed rate over persistent connections, independent of response times (open loop), and each response time
counts from the moment when the request was due. The kernel reports control's CPU time per request, which on a busy
machine is more reliable than the clock. The report also has the time for which control waited for its core, and the
delay of sending: if these are not near 0, p99 is that of the machine. Run it under `chrt --rr 1` for priority over
other processes.
"""

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import uvloop

from bench.report import Report, passing
from control.database import session
from control.identity import keys
from control.identity.tokens import Tokens
from control.store import sessions, users
from parley.embedded_postgres import EmbeddedPostgres
from tests.support.cpu_time import cpu_seconds

MEETINGS = 10_000
USERS = 100
PAGE = 50
RATE = 400
CONNECTIONS = 40
PROCESS = """
import asyncio, sys
from pathlib import Path
import uvloop
from control.config import ControlConfig, RateLimits
from sfu.api.registration import NodeRecord
from control.main import Addresses, run
dsn, directory, core = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
import os
os.sched_setaffinity(0, {core})
node = NodeRecord(node="sfu-1", signaling_url="ws://127.0.0.1:9/", http_url="http://127.0.0.1:9")
config = ControlConfig(
    database_dsn=dsn, data_dir=directory / "data", recordings_dir=directory / "recordings", node_secret="x" * 32,
    nodes=(node,), http_binds=("127.0.0.1:0",), internal_bind="127.0.0.1:0", registration="open",
    limits=RateLimits(account_requests=10**9), embedded=True, reconcile_seconds=3600,
)
addresses = Addresses()
uvloop.run(run(config, lambda: print(addresses.http[0], flush=True), addresses))
"""


def run(*, quick: bool) -> Report:
    """Offer the load for 20 s (5 if quick)."""
    cores = os.sched_getaffinity(0)
    try:
        return uvloop.run(_measure(5.0 if quick else 20.0, cores))
    finally:
        os.sched_setaffinity(0, cores)


@dataclass(slots=True)
class _Figures:
    answered: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)


async def _measure(seconds: float, cores: set[int]) -> Report:
    report = Report()
    os.sched_setaffinity(0, cores - {max(cores)} or cores)
    with tempfile.TemporaryDirectory(prefix="pb") as directory, postgres(Path(directory)) as cluster:
        async with control(cluster, Path(directory), max(cores)) as (pid, address):
            tokens = await signed_in(cluster.dsn, Path(directory) / "data", USERS)
            await _fill(cluster.dsn)
            await _offer(address, tokens, 1.0, RATE // 3, _Figures())
            figures = _Figures()
            process = Path(f"/proc/{pid}")
            before, waited, begun = cpu_seconds(process), _waited_seconds(pid), time.monotonic()
            with passing("asking", seconds):
                await _offer(address, tokens, seconds, RATE, figures)
            cpu, waited, took = cpu_seconds(process) - before, _waited_seconds(pid) - waited, time.monotonic() - begun
    assert not figures.failed, f"{figures.failed} requests were refused"
    case = f"{RATE}/s, {PAGE} of {MEETINGS} meetings, {USERS} users"
    report.at_least(case, "answered", figures.answered / took, "1/s", RATE * 0.99)
    report.at_most(case, "p99", _p99(figures.seconds) * 1000, "ms", 25)
    report.add(case, "median", statistics.median(figures.seconds) * 1000, "ms")
    report.add(case, "worst", max(figures.seconds) * 1000, "ms")
    report.add(case, "sent late, p99", _p99(figures.lateness) * 1000, "ms")
    report.add(case, "control waited for its core", waited / took * 100, "%")
    report.at_most(case, "CPU per request", cpu / figures.answered * 1e6, "us", 1e6 / RATE)
    return report


async def _offer(address: str, tokens: list[str], seconds: float, rate: int, figures: _Figures) -> None:
    """Send requests at `rate`, each at its due time, over the connections in turn."""
    host, _, port = address.partition(":")
    begun = time.monotonic()
    due = [begun + index / rate for index in range(round(seconds * rate))]
    await asyncio.gather(
        *(_ask(host, int(port), tokens, due[start::CONNECTIONS], figures) for start in range(CONNECTIONS))
    )


async def _ask(host: str, port: int, tokens: list[str], due: list[float], figures: _Figures) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for index, at in enumerate(due):
        if (early := at - time.monotonic()) > 0:
            await asyncio.sleep(early)
            figures.lateness.append(time.monotonic() - at)
        token = tokens[(index * 7 + port) % len(tokens)]
        writer.write(
            f"GET /api/v1/my/meetings?limit={PAGE} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 200 "):
            figures.answered += 1
            figures.seconds.append(time.monotonic() - at)
        else:
            figures.failed += 1
    writer.close()
    await writer.wait_closed()


async def signed_in(dsn: str, keys_dir: Path, count: int) -> list[str]:
    """Create signed-in users in the database; return their access tokens."""
    tokens = Tokens(keys.load(keys_dir, may_create=False))
    made = []
    async with session(dsn) as connection:
        for number in range(count):
            user = await users.create(
                connection, username=f"user{number}", email=None, display_name=f"User {number}", password_hash="x"
            )
            signed = await sessions.create(connection, user.id, user.epoch, "bench", "127.0.0.1", strong=False)
            made.append(tokens.access(user.id, signed, user.epoch))
    return made


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO meetings (id, host_id, title, created_at)"
        " SELECT 'm' || n, u.id, 'Meeting ' || n, now() - make_interval(secs => n)"
        " FROM generate_series(1, $1::int) n JOIN (SELECT id, row_number() OVER () AS k FROM users) u"
        " ON u.k = n % (SELECT count(*) FROM users) + 1",
        MEETINGS,
    )
    await connection.execute("ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[EmbeddedPostgres]:
    """Run a PostgreSQL below `directory`."""
    cluster = EmbeddedPostgres(data=directory / "pg", socket_directory=directory / "s")
    cluster.prepare()
    with (directory / "pg.log").open("wb") as log:
        server = subprocess.Popen(cluster.command(), stdout=log, stderr=log)
        try:
            while not cluster.is_ready():
                assert server.poll() is None, (directory / "pg.log").read_text()
                time.sleep(0.05)
            cluster.create_database()
            yield cluster
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)


@contextlib.asynccontextmanager
async def control(
    cluster: EmbeddedPostgres, directory: Path, core: int | None = None
) -> AsyncIterator[tuple[int, str]]:
    """Run control on one core, the last where none is given; gives its pid and address."""
    core = max(os.sched_getaffinity(0)) if core is None else core
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, cluster.dsn, str(directory), str(core), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.pid, (await process.stdout.readline()).decode().strip()
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


def _waited_seconds(pid: int) -> float:
    """Return the time for which a process's first thread, which runs the loop, was ready while others ran."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
