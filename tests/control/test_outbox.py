"""Events leave the outbox in order and without gaps per meeting, whatever fails."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
import pytest_asyncio

from control.database import Pool, open_pool
from control.events import relay
from control.events.bus import BusAway, Progress, Refusal
from control.store import event_places, meetings, outbox, users
from control.store.event_places import KafkaPlace, WebhooksPlace
from control.store.outbox import Event
from foundation.backoff import Backoff
from tests.support.waiting import eventually


class Log:
    """A bus to a consumer that drops duplicates. It can refuse a key or a topic, or fail."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.refuse: set[str] = set()
        self.fails: Exception | None = None
        self.attempts = 0
        self.total = 0
        self.changed = asyncio.Event()

    async def publish(self, events: Sequence[Event]) -> Progress:
        if self.fails is not None:
            self.attempts += 1
            raise self.fails
        firsts: dict[str, int] = {}
        for event in events:
            if {event.key, event.topic} & self.refuse:
                firsts.setdefault(event.key, event.id)
        taken = [event for event in events if event.key not in firsts or event.id < firsts[event.key]]
        for event in taken:
            if event.seq > (self.seen[event.key][-1] if self.seen[event.key] else 0):
                self.seen[event.key].append(event.seq)
                self.total += 1
        self.changed.set()
        refused = {event: Refusal("not now") for event in firsts.values()}
        return Progress({event.id for event in taken}, refused)

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
    task = asyncio.create_task(relay.run(dsn, KafkaPlace(), log))
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


async def test_a_refused_topic_holds_nothing_else_up(dsn: str, pool: Pool) -> None:
    """2,000 events of it wait before another meeting's are written; of their own meetings what is behind them waits."""
    *stuck, free = await make_meetings(pool, 201)
    async with pool.acquire() as connection, connection.transaction():
        for meeting in stuck:
            for _ in range(10):
                await outbox.append(connection, outbox.AI_EVENTS, meeting, "k", {})
    log = Log()
    log.refuse = {outbox.AI_EVENTS}
    async with relaying(dsn, log):
        await write(pool, free, 5)
        await write(pool, stuck[0], 1)
        await log.wait_for(5)
        assert (log.seen[free], log.seen[stuck[0]]) == ([1, 2, 3, 4, 5], [])
        async with pool.acquire() as connection:
            assert await KafkaPlace().reason(connection) == "not now"
            assert (await KafkaPlace().waiting(connection)).events >= 2001
        log.refuse = set()
        await log.wait_for(2006)
    assert log.seen[stuck[0]] == list(range(1, 12))
    async with pool.acquire() as connection:
        assert await KafkaPlace().reason(connection) is None


async def test_each_bus_has_a_place_of_its_own(dsn: str, pool: Pool) -> None:
    (meeting,) = await make_meetings(pool, 1)
    await write(pool, meeting, 3)
    kafka, webhooks = Log(), Log()
    kafka.fails = BusAway("nobody listens")
    hooks = asyncio.create_task(relay.run(dsn, WebhooksPlace(alone=False), webhooks))
    async with relaying(dsn, kafka):
        await webhooks.wait_for(3)
        kafka.fails = None
        await kafka.wait_for(3)
    hooks.cancel()
    await asyncio.gather(hooks, return_exceptions=True)
    assert kafka.seen == webhooks.seen == {meeting: [1, 2, 3]}


async def test_without_kafka_what_webhooks_have_is_published(dsn: str, pool: Pool) -> None:
    (meeting,) = await make_meetings(pool, 1)
    await write(pool, meeting, 3)
    log = Log()
    place = WebhooksPlace(alone=True)
    task = asyncio.create_task(relay.run(dsn, place, log))
    await log.wait_for(3)
    async with pool.acquire() as connection, asyncio.timeout(30):
        while (await place.waiting(connection)).events:
            await asyncio.sleep(0.02)
        assert (await KafkaPlace().waiting(connection)).events == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("error", [BusAway("nobody listens"), ValueError("invalid literal for int()")])
async def test_a_bus_that_fails_is_asked_ever_more_seldom_and_told_of_once(
    dsn: str, pool: Pool, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also while events keep arriving. Pauses are shortened to a hundredth."""
    pauses: list[float] = []

    class Quick(Backoff):
        def pause(self) -> float:
            pauses.append(super().pause())
            return pauses[-1] / 100

    monkeypatch.setattr(relay, "Backoff", Quick)
    (meeting,) = await make_meetings(pool, 1)
    log = Log()
    log.fails = error
    async with relaying(dsn, log):
        while len(pauses) < 7:
            await write(pool, meeting, 1)
        async with pool.acquire() as connection:
            assert await KafkaPlace().reason(connection) == str(error)
        log.fails = None
        await log.wait_for(1)
        await eventually(lambda: "recovered after" in caplog.text)
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert log.attempts == len(pauses)
    said = [record.message for record in caplog.records if "events are waiting for kafka" in record.message]
    assert len(said) == 2 and str(error) in said[0]


async def test_what_is_refused_for_good_is_a_dead_letter_and_the_rest_goes_on(dsn: str, pool: Pool) -> None:
    (meeting,) = await make_meetings(pool, 1)
    await write(pool, meeting, 3)

    class Picky(Log):
        async def publish(self, events: Sequence[Event]) -> Progress:
            progress = await super().publish([event for event in events if event.seq != 2])
            progress.refused.update({event.id: Refusal("too large", dead=True) for event in events if event.seq == 2})
            return progress

    log = Picky()
    async with relaying(dsn, log):
        await log.wait_for(2)
        await write(pool, meeting, 1)
        await log.wait_for(3)
    assert log.seen[meeting] == [1, 3, 4]
    async with pool.acquire() as connection:
        (letter,) = await event_places.dead_letters(connection, 10)
        assert letter.seq == 2
        await event_places.revive(connection, letter.id)
        assert await event_places.dead_letters(connection, 10) == []
