"""Faults with real servers: events are written while servers go away, and a consumer must see each meeting's in order.

A control process of its own takes facts from concurrent writers, as nodes report them, and relays events to a broker of
Kafka's protocol. One after another PostgreSQL is restarted, Redis stands still, the broker is away, control is killed
(between commits and their publication, as it happens) and a transaction is held open while others commit. Writers
repeat what was not acknowledged. In the end each meeting's numbers must be 1, 2, 3, …, in order, none missing.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer

from bench.report import Report
from control.database import prepare
from control.migrations import migrate
from control.store import outbox
from parley.embedded_postgres import EmbeddedPostgres
from tests.support.broker import Broker, running_broker

SECRET = "s" * 32
WRITERS = 4
PROCESS = """
import asyncio, sys
from pathlib import Path
from control.config import ControlConfig, SfuNode
from control.main import run
dsn, redis, broker, directory, port = sys.argv[1:]
node = SfuNode(node="sfu-1", signaling_url="ws://127.0.0.1:9/", http_url="http://127.0.0.1:9")
asyncio.run(run(ControlConfig(
    database_dsn=dsn, redis_url=redis, kafka_brokers=(broker,), data_dir=Path(directory) / "data",
    recordings_dir=Path(directory) / "recordings", node_secret="s" * 32, nodes=(node,), http_binds=("127.0.0.1:0",),
    internal_bind=f"127.0.0.1:{port}", embedded=True, reconcile_seconds=3600,
), lambda: print("up", flush=True)))
"""


def run(*, quick: bool) -> Report:
    """10,000 events over 100 meetings, the broker away for a minute (1,500 over 20, and seconds, when quick)."""
    report = Report()
    outcome = asyncio.run(scenario(1500, 20, 2.0) if quick else scenario(10_000, 100, 60.0))
    case = f"{outcome.events} events, {outcome.meetings} meetings, {len(outcome.faults)} faults"
    report.at_most(case, "meetings with a gap or out of order", outcome.wrong, "", 0)
    report.at_most(case, "events that never came", outcome.missing, "", 0)
    report.add(case, "repeated by the relay and dropped by the consumer", outcome.repeated, "")
    report.add(case, "last acknowledgement to last event", outcome.lag_seconds, "s")
    return report


@dataclass(slots=True)
class Outcome:
    events: int
    meetings: int
    faults: list[str]
    wrong: int = 0
    missing: int = 0
    repeated: int = 0
    lag_seconds: float = 0.0


@dataclass(slots=True)
class Servers:
    """What is running, and what may be done to it."""

    directory: Path
    cluster: EmbeddedPostgres
    broker: Broker
    port: int
    postgres: "subprocess.Popen[bytes] | None" = None
    redis: "subprocess.Popen[bytes] | None" = None
    control: "subprocess.Popen[bytes] | None" = None
    made: list[str] = field(default_factory=list)

    def start_postgres(self) -> None:
        with (self.directory / "postgres.log").open("ab") as log:
            self.postgres = subprocess.Popen(self.cluster.command(), stdout=log, stderr=log)
        while not self.cluster.is_ready():
            assert self.postgres.poll() is None, (self.directory / "postgres.log").read_text()
            time.sleep(0.05)

    def start_redis(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.directory / "r"), "--save", ""]
        self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.directory)

    def start_control(self) -> None:
        arguments = (self.cluster.dsn, f"unix://{self.directory / 'r'}", self.broker.address)
        with (self.directory / "control.log").open("ab") as log:
            self.control = subprocess.Popen(
                [sys.executable, "-c", PROCESS, *arguments, str(self.directory), str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.control.stdout is not None
        assert self.control.stdout.readline() == b"up\n", (self.directory / "control.log").read_text()

    def stop(self) -> None:
        for process, how in (
            (self.control, signal.SIGKILL),
            (self.redis, signal.SIGKILL),
            (self.postgres, signal.SIGINT),
        ):
            if process is not None:
                process.send_signal(how)
                process.wait(20)
                if process.stdout is not None:
                    process.stdout.close()


async def scenario(events: int, meetings: int, away_seconds: float) -> Outcome:
    """Write `events` during all faults; the broker is away for `away_seconds`, Redis for up to ten."""
    async with _servers(meetings) as servers:
        faults: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("PostgreSQL restarted", lambda: _restart_postgres(servers)),
            ("Redis stands still", lambda: _stop_redis(servers, min(10.0, away_seconds))),
            ("broker away", lambda: _stop_broker(servers, away_seconds)),
            ("control killed", lambda: _kill_control(servers)),
            ("a transaction held open", lambda: _hold_open(servers, min(1000, events // 10))),
        ]
        outcome = Outcome(events, meetings, [name for name, _ in faults])
        share = events // len(faults)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as session:
            for index, (_, fault) in enumerate(faults):
                writers = [_write(session, servers, f"w{index}-{k}", share // WRITERS) for k in range(WRITERS)]
                await asyncio.gather(*writers, fault())
        acknowledged = time.monotonic()
        await _judge(servers, outcome)
        outcome.lag_seconds = time.monotonic() - acknowledged
    return outcome


async def _write(session: aiohttp.ClientSession, servers: Servers, node: str, count: int) -> None:
    """Report consents in batches of four, each until it is acknowledged."""
    url = f"http://127.0.0.1:{servers.port}/internal/v1/facts"
    for n in range(1, count // 4 + 1):
        rooms = [servers.made[(n * 4 + k + hash(node)) % len(servers.made)] for k in range(4)]
        common = {"kind": "consent", "at": n, "consent": "recording", "granted": True, "text": f"{node}-{n}"}
        facts = [{**common, "room": room, "participant": f"p-{room}"} for room in rooms]
        batch = {"node": node, "boot": "b", "n": n, "facts": facts}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(url, json=batch, timeout=aiohttp.ClientTimeout(total=60)) as answer:
                    if answer.status == 200:
                        break
                    assert answer.status in {500, 503}, await answer.text()
            await asyncio.sleep(0.1)


async def _restart_postgres(servers: Servers) -> None:
    await asyncio.sleep(0.3)
    assert servers.postgres is not None
    servers.postgres.send_signal(signal.SIGINT)
    await asyncio.to_thread(servers.postgres.wait, 20)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(servers.start_postgres)


async def _stop_redis(servers: Servers, seconds: float) -> None:
    assert servers.redis is not None
    servers.redis.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    servers.redis.send_signal(signal.SIGCONT)


async def _stop_broker(servers: Servers, seconds: float) -> None:
    await asyncio.to_thread(servers.broker.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(servers.broker.start)


async def _kill_control(servers: Servers) -> None:
    for _ in range(3):
        await asyncio.sleep(0.4)
        assert servers.control is not None and servers.control.stdout is not None
        servers.control.kill()
        await asyncio.to_thread(servers.control.wait)
        servers.control.stdout.close()
        await asyncio.to_thread(servers.start_control)


async def _hold_open(servers: Servers, commits: int) -> None:
    """Append an event, and commit it only when `commits` others were."""
    connection = await asyncpg.connect(servers.cluster.dsn)
    beside = await asyncpg.connect(servers.cluster.dsn)
    try:
        await prepare(connection)
        await prepare(beside)
        async with connection.transaction():
            held, *others = servers.made
            await outbox.append(connection, outbox.MEETING_EVENTS, held, "fault.held", {})
            for index in range(commits):
                await outbox.append(beside, outbox.MEETING_EVENTS, others[index % len(others)], "fault.beside", {})
    finally:
        await connection.close()
        await beside.close()


async def _judge(servers: Servers, outcome: Outcome) -> None:
    """Consume everything, and compare it with what was committed."""
    connection = await asyncpg.connect(servers.cluster.dsn)
    rows = await connection.fetch("SELECT id, event_seq FROM meetings")
    await connection.close()
    committed = {row["id"]: row["event_seq"] for row in rows}
    consumer = AIOKafkaConsumer(
        outbox.MEETING_EVENTS, bootstrap_servers=servers.broker.address, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    last = dict.fromkeys(committed, 0)
    broken: set[str] = set()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(120):
                while last != committed:
                    event = msgspec.json.decode((await consumer.getone()).value)
                    meeting, seq = event["meeting"], event["seq"]
                    if seq <= last[meeting]:
                        outcome.repeated += 1
                        continue
                    if seq != last[meeting] + 1:
                        broken.add(meeting)
                    last[meeting] = seq
    finally:
        await consumer.stop()
    outcome.events = sum(committed.values())
    outcome.wrong = len(broken)
    outcome.missing = sum(committed[one] - last[one] for one in committed)


@contextlib.asynccontextmanager
async def _servers(meetings: int) -> AsyncIterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="pf") as name, running_broker() as broker:
        directory = Path(name)
        cluster = EmbeddedPostgres(data=directory / "pg", socket_directory=directory / "s")
        await asyncio.to_thread(cluster.prepare)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        servers = Servers(directory, cluster, broker, port)
        try:
            await asyncio.to_thread(servers.start_postgres)
            cluster.create_database()
            await migrate(cluster.dsn)
            servers.start_redis()
            servers.made = await _fill(cluster.dsn, meetings)
            await asyncio.to_thread(servers.start_control)
            yield servers
        finally:
            servers.stop()


async def _fill(dsn: str, meetings: int) -> list[str]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO users (id, username, username_key, display_name, password_hash) VALUES ('u', 'u', 'u', 'U', 'x')"
    )
    made = [f"m{number}" for number in range(meetings)]
    await connection.execute(
        "INSERT INTO meetings (id, host_id, title) SELECT m, 'u', m FROM unnest($1::text[]) m", made
    )
    await connection.execute(
        "INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash)"
        " SELECT 'p-' || m, m, 'P', 'host', ''::bytea FROM unnest($1::text[]) m",
        made,
    )
    await connection.close()
    return made
