"""Events over Kafka's protocol: in order per meeting, also when the broker is away for a while.

The broker is noida-db, which speaks the protocol but is not Apache Kafka.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from control import relay
from control.database import Pool, open_pool
from control.dead_letters import MAX_BYTES, replay
from control.kafka_bus import KafkaBus
from control.store import outbox
from tests.control.test_outbox import make_meetings, write
from tests.support.broker import Broker, running_broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with running_broker() as started:
        yield started


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, 6)
    yield opened
    await opened.close()


async def consume(broker: Broker, total: int) -> dict[str, list[int]]:
    """Return the numbers of each meeting as a consumer sees them that drops what it has seen."""
    consumer = AIOKafkaConsumer(
        outbox.MEETING_EVENTS, bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    seen: dict[str, list[int]] = {}
    try:
        async with asyncio.timeout(30):
            while sum(len(one) for one in seen.values()) < total:
                message = await consumer.getone()
                event = msgspec.json.decode(message.value)
                assert message.key == event["meeting"].encode()
                numbers = seen.setdefault(event["meeting"], [])
                if not numbers or event["seq"] > numbers[-1]:
                    numbers.append(event["seq"])
    finally:
        await consumer.stop()
    return seen


async def test_order_survives_a_broker_that_goes_away(dsn: str, pool: Pool, broker: Broker) -> None:
    made = await make_meetings(pool, 4)
    bus = KafkaBus((broker.address,))
    relaying = asyncio.create_task(relay.run(dsn, bus))
    try:
        for _ in range(3):
            writing = asyncio.gather(*(write(pool, one, 40) for one in made))
            await asyncio.to_thread(broker.stop)
            await writing
            await asyncio.to_thread(broker.start)
        async with asyncio.timeout(60):
            while True:
                async with pool.acquire() as connection:
                    if await outbox.backlog(connection) == 0:
                        break
                await asyncio.sleep(0.1)
    finally:
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        await bus.close()
    assert await consume(broker, 480) == {one: list(range(1, 121)) for one in made}


async def test_dead_letters_are_published_again(dsn: str, pool: Pool, broker: Broker) -> None:
    """An event that is too large; its reference waits until it fits (this broker's own limit cannot be raised)."""
    (meeting,) = await make_meetings(pool, 1)
    async with pool.acquire() as connection:
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "large", {"text": "x" * 1_200_000})
        (event,) = await outbox.unpublished(connection, 10)
    bus = KafkaBus((broker.address,))
    assert await bus.publish([event]) == {event.id}
    await bus.close()
    for limit in (1_000_000, MAX_BYTES):  # ours, then the broker's
        again = await replay(dsn, (broker.address,), max_bytes=limit)
        assert (again.published, again.refused, again.gone) == (0, 1, 0)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE outbox SET payload = '{}'")
    again = await replay(dsn, (broker.address,))
    assert (again.published, again.refused, again.gone) == (1, 0, 0)
    assert await consume(broker, 1) == {meeting: [event.seq]}
    assert (await replay(dsn, (broker.address,))).published == 0


async def test_many_meetings_take_few_rounds_and_keep_their_order(dsn: str, pool: Pool, broker: Broker) -> None:
    """Small and large events, one too large among them, of several topics: all in order, in one call."""
    made = await make_meetings(pool, 20)
    async with pool.acquire() as connection:
        for number in range(10):
            for place, meeting in enumerate(made):
                size = 2_000_000 if (number, place) == (4, 3) else 60_000 if place == 5 else 100
                topic = outbox.AI_EVENTS if number == 7 else outbox.MEETING_EVENTS
                await outbox.append(connection, topic, meeting, "k", {"text": "x" * size})
        events = await outbox.unpublished(connection, 500)
    bus = KafkaBus((broker.address,))
    assert await bus.publish(events) == {event.id for event in events}
    await bus.close()
    rest = [number for number in range(1, 11) if number != 8]
    expected = {one: rest if one != made[3] else [number for number in rest if number != 5] for one in made}
    assert await consume(broker, sum(len(one) for one in expected.values())) == expected


async def test_of_a_meeting_whose_event_is_refused_the_rest_waits(dsn: str, pool: Pool, broker: Broker) -> None:
    first, second, free = await make_meetings(pool, 3)
    for _ in range(3):
        for meeting in (first, second, free):
            await write(pool, meeting, 1)
    async with pool.acquire() as connection:
        for meeting, seq in ((first, 1), (second, 2)):
            await connection.execute(
                "UPDATE outbox SET topic = 'not a topic' WHERE key = $1 AND seq = $2", meeting, seq
            )
        events = await outbox.unpublished(connection, 10)
    bus = KafkaBus((broker.address,))
    safe = await bus.publish(events)
    await bus.close()
    taken = {(event.key, event.seq) for event in events if event.id in safe}
    assert taken == {(second, 1), (free, 1), (free, 2), (free, 3)}
