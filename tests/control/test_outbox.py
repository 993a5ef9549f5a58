"""Events leave the outbox in order and without gaps per meeting, whatever fails meanwhile."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest_asyncio

from control import relay
from control.database import Pool, open_pool
from control.store import meetings, outbox, users
from control.store.outbox import Event


class Log:
    """A bus to a consumer that drops repetitions by seq, as consumers must, and can refuse a key."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.refuse: set[str] = set()
        self.total = 0
        self.changed = asyncio.Event()

    async def publish(self, events: Sequence[Event]) -> set[int]:
        taken = [event for event in events if event.key not in self.refuse]
        for event in taken:
            if event.seq > (self.seen[event.key][-1] if self.seen[event.key] else 0):
                self.seen[event.key].append(event.seq)
                self.total += 1
        self.changed.set()
        return {event.id for event in taken}

    async def wait_for(self, total: int) -> None:
        async with asyncio.timeout(30):
            while self.total < total:
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, 12)
    yield opened
    await opened.close()


async def make_meetings(pool: Pool, count: int) -> list[str]:
    async with pool.acquire() as connection:
        host = await users.create(connection, username="ada", email=None, display_name="A", password_hash="x")
        plan = meetings.Plan(
            title="T",
            description="",
            passcode_hash=None,
            settings={},
            scheduled_start=None,
            scheduled_end=None,
            time_zone="UTC",
            recurrence=None,
        )
        rows = [await meetings.create(connection, host.id, plan) for _ in range(count)]
    return [row.id for row in rows]


async def write(pool: Pool, meeting: str, count: int) -> None:
    for number in range(count):
        async with pool.acquire() as connection, connection.transaction():
            await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "k", {"number": number})


@contextlib.asynccontextmanager
async def relaying(dsn: str, log: Log) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run(dsn, log))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_concurrent_writers_and_a_transaction_held_open(dsn: str, pool: Pool) -> None:
    made = await make_meetings(pool, 10)
    log = Log()
    async with relaying(dsn, log):
        async with pool.acquire() as held, held.transaction():
            await outbox.append(held, outbox.MEETING_EVENTS, made[0], "held", {})
            writers = [write(pool, meeting, 20) for meeting in made[1:] for _ in range(2)]
            await asyncio.gather(*writers)
            await log.wait_for(9 * 40)
            assert made[0] not in log.seen
        await write(pool, made[0], 39)
        await log.wait_for(400)
    assert {meeting: log.seen[meeting] for meeting in made} == {meeting: list(range(1, 41)) for meeting in made}


async def test_a_refused_meeting_waits_and_the_others_go_on(dsn: str, pool: Pool) -> None:
    stuck, free = await make_meetings(pool, 2)
    log = Log()
    log.refuse = {stuck}
    async with relaying(dsn, log):
        await asyncio.gather(write(pool, stuck, 5), write(pool, free, 5))
        await log.wait_for(5)
        assert log.seen[free] == [1, 2, 3, 4, 5] and not log.seen[stuck]
        log.refuse = set()
        await log.wait_for(10)
    assert log.seen[stuck] == [1, 2, 3, 4, 5]


async def test_a_killed_relay_is_followed_by_another(dsn: str, pool: Pool) -> None:
    made = await make_meetings(pool, 3)
    log = Log()
    async with relaying(dsn, log), relaying(dsn, log):
        writing = asyncio.gather(*(write(pool, meeting, 30) for meeting in made))
        await log.wait_for(20)
        connection = await asyncpg.connect(dsn)
        for _ in range(3):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parley-relay'"
            )
        await connection.close()
        await writing
        await log.wait_for(90)
    assert all(log.seen[meeting] == list(range(1, 31)) for meeting in made)


async def test_a_rolled_back_event_leaves_no_gap(dsn: str, pool: Pool) -> None:
    (meeting,) = await make_meetings(pool, 1)
    await write(pool, meeting, 1)
    with contextlib.suppress(ZeroDivisionError):
        async with pool.acquire() as connection, connection.transaction():
            await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "lost", {})
            raise ZeroDivisionError
    await write(pool, meeting, 1)
    log = Log()
    async with relaying(dsn, log):
        await log.wait_for(2)
    assert log.seen[meeting] == [1, 2]
