"""Faults with real servers: events are written while servers fail, and a consumer must see each meeting's in order.

A control process receives facts from concurrent writers, as nodes report them, and relays events to a Kafka-compatible
broker. One after another, PostgreSQL is restarted, Redis hangs, the broker is stopped, the file store is killed during
an upload, control is killed (once with committed but unpublished events), and a transaction stays open while others
commit. Writers repeat unacknowledged facts. In the end each meeting's numbers must be 1, 2, 3, …, in order and
complete. A call continues on a node meanwhile. Only killed servers are restarted, and control must report ready again
after each fault.
"""

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer

from bench.fault_call import Silence, watched_call
from bench.fault_servers import SECRET, Servers, running_servers
from bench.report import Report, progress
from control.database import session
from control.store import outbox
from tests.support.object_stores import S3Server

WRITERS = 4
_PIECE = 256 * 1024
_READY_SECONDS = 60.0


def run(*, quick: bool) -> Report:
    """10,000 events over 100 meetings, the broker away for a minute (1,500 over 20, and seconds, if quick)."""
    report = Report()
    outcome = asyncio.run(scenario(1500, 20, 2.0) if quick else scenario(10_000, 100, 60.0))
    case = f"{outcome.events} events, {outcome.meetings} meetings, {len(outcome.faults)} faults"
    report.at_most(case, "meetings with a gap or out of order", outcome.wrong, "", 0)
    report.at_most(case, "events that never came", outcome.missing, "", 0)
    report.add(case, "repeated by the relay and dropped by the consumer", outcome.repeated, "")
    report.add(case, "last acknowledgement to last event", outcome.lag_seconds, "s")
    report.at_least(case, "committed but not published when control was killed", outcome.unpublished, "", 1)
    report.at_most(case, "partially visible uploads", outcome.half_visible, "", 0)
    report.at_most(case, "call: longest time without sound", outcome.call.of_sound, "s", 1)
    report.add(case, "call: longest time without video", outcome.call.of_pictures, "s")
    report.add(case, "call: frames received", outcome.call.frames, "")
    for name, seconds in outcome.recovery.items():
        report.add(name, "until control is ready again", seconds, "s")
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
    unpublished: int = 0
    half_visible: int = 0
    call: Silence = field(default_factory=Silence)
    recovery: dict[str, float] = field(default_factory=dict)


async def scenario(
    events: int, meetings: int, away_seconds: float, *, kills: int = 3, with_store: bool = True
) -> Outcome:
    """Write `events` during all faults; the broker is away for `away_seconds`, Redis for up to ten.

    Without a store of files they are in a directory, which does not fail.
    """
    outcome = Outcome(events, meetings, [])
    async with running_servers(meetings, with_store=with_store) as servers:
        faults: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("PostgreSQL restarted", lambda: _restart_postgres(servers)),
            ("Redis hangs", lambda: _stop_redis(servers, min(10.0, away_seconds))),
            ("broker away", lambda: _stop_broker(servers, away_seconds)),
            ("control killed", lambda: _kill_control(servers, outcome, kills)),
            ("a transaction stays open", lambda: _hold_open(servers, min(1000, events // 10))),
        ]
        if servers.store is not None:
            faults.append(
                ("store killed during an upload", functools.partial(_stop_store, servers, servers.store, outcome))
            )
        outcome.faults = [name for name, _ in faults]
        share = events // len(faults)
        async with (
            watched_call(f"http://{servers.http}", servers.signaling) as outcome.call,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as session,
        ):
            await _ready(session, servers)
            for index, (name, fault) in enumerate(progress(faults, "faults")):
                writers = [_write(session, servers, f"w{index}-{k}", share // WRITERS) for k in range(WRITERS)]
                await asyncio.gather(*writers, fault())
                outcome.recovery[name] = await _ready(session, servers)
        acknowledged = time.monotonic()
        await _judge(servers, outcome)
        outcome.lag_seconds = time.monotonic() - acknowledged
    return outcome


async def _ready(session: aiohttp.ClientSession, servers: Servers) -> float:
    """Return the seconds until control reports that nothing is down."""
    begun = time.monotonic()
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://{servers.http}/health/ready") as answer:
                    if (await answer.json())["status"] == "ok":
                        return time.monotonic() - begun
            await asyncio.sleep(0.1)


async def _write(session: aiohttp.ClientSession, servers: Servers, node: str, count: int) -> None:
    """Report consents in batches of four, each until it is acknowledged."""
    url = f"http://{servers.internal}/internal/v1/facts"
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


async def _stop_store(servers: Servers, store: S3Server, outcome: Outcome) -> None:
    """Kill the store during an upload: no part of the upload may be visible, and earlier files must be."""
    url = f"http://{servers.http}/api/v1"
    size = 8_000_000

    async def pieces(*, failing: bool) -> AsyncIterator[bytes]:
        for start in range(0, size, _PIECE):
            if failing and start > size // 2:
                await asyncio.to_thread(store.stop)
                failing = False
            yield bytes(min(_PIECE, size - start))

    async with aiohttp.ClientSession() as session:
        account = {"username": "who-uploads", "password": "correct horse battery staple", "mode": "token"}
        async with session.post(f"{url}/auth/register", json=account) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access_token']}"
        async with session.post(f"{url}/media/upload?name=kept.bin", data=pieces(failing=False)) as answer:
            assert answer.status == 201, await answer.text()
            kept = (await answer.json())["id"]
        async with session.post(f"{url}/media/upload?name=lost.bin", data=pieces(failing=True)) as answer:
            assert answer.status == 503, await answer.text()
        await asyncio.to_thread(store.start)
        async with session.get(f"{url}/media") as answer:
            outcome.half_visible += [one["id"] for one in (await answer.json())["files"]] != [kept]
        async with session.get(f"{url}/media/download/{kept}") as answer:
            outcome.half_visible += await answer.read() != bytes(size)


async def _kill_control(servers: Servers, outcome: Outcome, times: int) -> None:
    """Kill control that many times; the first time, committed events cannot be published."""
    connection = await asyncpg.connect(servers.cluster.dsn)
    unpublished = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
    await asyncio.to_thread(servers.broker.stop)
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            if await connection.fetchval(unpublished):
                break
            await asyncio.sleep(0.02)
    await asyncio.to_thread(servers.kill_control)
    outcome.unpublished = await connection.fetchval(unpublished)
    await connection.close()
    await asyncio.to_thread(servers.broker.start)
    await asyncio.to_thread(servers.start_control)
    for _ in range(times - 1):
        await asyncio.sleep(0.4)
        await asyncio.to_thread(servers.kill_control)
        await asyncio.to_thread(servers.start_control)


async def _hold_open(servers: Servers, commits: int) -> None:
    """Append an event, and commit it only after `commits` others."""
    held, *others = servers.made
    dsn = servers.cluster.dsn
    async with session(dsn) as beside, session(dsn) as connection, connection.transaction():
        await outbox.append(connection, outbox.MEETING_EVENTS, held, "fault.held", {})
        for index in range(commits):
            await outbox.append(beside, outbox.MEETING_EVENTS, others[index % len(others)], "fault.beside", {})


async def _judge(servers: Servers, outcome: Outcome) -> None:
    """Consume everything, and compare it with what was committed."""
    connection = await asyncpg.connect(servers.cluster.dsn)
    rows = await connection.fetch("SELECT id, event_seq FROM meetings WHERE id = ANY($1)", servers.made)
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
                    if meeting not in last:  # of the call
                        continue
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
