"""Events over Kafka's protocol: in order per meeting, even if the broker is unreachable for a while."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import PolicyViolationError

from control.config import KafkaAccess
from control.database import Pool, open_pool
from control.events import relay
from control.events.bus import Progress, Refusal
from control.events.dead_letters import MAX_BYTES, replay
from control.events.kafka_bus import KafkaBus
from control.events.kafka_records import DEAD_LETTERS
from control.store import event_places, outbox
from control.store.event_places import KafkaPlace
from control.store.outbox import Event
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
    """Return the numbers of each meeting, as seen by a consumer that drops duplicates."""
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
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    relaying = asyncio.create_task(relay.run(dsn, KafkaPlace(), bus))
    try:
        for _ in range(3):
            writing = asyncio.gather(*(write(pool, one, 40) for one in made))
            await asyncio.to_thread(broker.stop)
            await writing
            await asyncio.to_thread(broker.start)
        async with asyncio.timeout(60):
            while True:
                async with pool.acquire() as connection:
                    if (await KafkaPlace().waiting(connection)).events == 0:
                        break
                await asyncio.sleep(0.1)
    finally:
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        await bus.close()
    assert await consume(broker, 480) == {one: list(range(1, 121)) for one in made}


async def test_brokers_that_are_away_are_told_without_any_event(broker: Broker) -> None:
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    try:
        assert await bus.trouble() is None
        await asyncio.to_thread(broker.stop)
        assert await bus.trouble()
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(30):
            while await bus.trouble():
                await asyncio.sleep(0.1)
    finally:
        await bus.close()


async def offered(pool: Pool) -> list[Event]:
    async with pool.acquire() as connection:
        return await KafkaPlace().next(connection, 500)


async def published(bus: KafkaBus, events: list[Event]) -> Progress:
    """Offer events until it is known of each key what becomes of it."""
    known = Progress()
    async with asyncio.timeout(30):
        while True:
            keys = {event.key for event in events if event.id in known.refused and known.refused[event.id].reason}
            left = [event for event in events if event.id not in known.safe and event.key not in keys]
            left = [event for event in left if not (event.id in known.refused and known.refused[event.id].dead)]
            if not left:
                return known
            known.add(await bus.publish(left))
            await asyncio.sleep(0.02)


async def records(broker: Broker, topic: str, total: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            return [await consumer.getone() for _ in range(total)]
    finally:
        await consumer.stop()


async def test_dead_letters_are_published_again(dsn: str, pool: Pool, broker: Broker) -> None:
    """An event that is too large waits in the outbox, and is named in a topic; later events are delivered."""
    (meeting,) = await make_meetings(pool, 1)
    async with pool.acquire() as connection:
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "large", {"text": "x" * 1_200_000})
    await write(pool, meeting, 1)
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    relaying = asyncio.create_task(relay.run(dsn, KafkaPlace(), bus))
    try:
        (small,) = await records(broker, outbox.MEETING_EVENTS, 1)
        (letter,) = await records(broker, DEAD_LETTERS, 1)
        async with pool.acquire() as connection, asyncio.timeout(30):
            while not await event_places.dead_letters(connection, 1):
                await asyncio.sleep(0.02)
    finally:
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        await bus.close()
    assert dict(small.headers)["seq"] == b"2"
    assert msgspec.json.decode(letter.value)["error"] == "too large"
    for limit in (1_000_000, MAX_BYTES):  # ours, then the broker's, which cannot be raised
        again = await replay(dsn, KafkaAccess(brokers=(broker.address,)), max_bytes=limit)
        assert (again.published, again.refused) == (0, 1)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE outbox SET payload = '{}'")
    again = await replay(dsn, KafkaAccess(brokers=(broker.address,)))
    assert (again.published, again.refused) == (1, 0)
    _, late = await records(broker, outbox.MEETING_EVENTS, 2)
    assert dict(late.headers) == {"kind": b"large", "seq": b"1", "id": dict(late.headers)["id"], "replayed": b"1"}
    assert (await replay(dsn, KafkaAccess(brokers=(broker.address,)))).published == 0


async def test_many_meetings_take_few_rounds_and_keep_their_order(dsn: str, pool: Pool, broker: Broker) -> None:
    """Small and large events, one too large among them, of several topics: all in order."""
    made = await make_meetings(pool, 20)
    async with pool.acquire() as connection:
        for number in range(10):
            for place, meeting in enumerate(made):
                size = 2_000_000 if (number, place) == (4, 3) else 60_000 if place == 5 else 100
                topic = outbox.AI_EVENTS if number == 7 else outbox.MEETING_EVENTS
                await outbox.append(connection, topic, meeting, "k", {"text": "x" * size})
    events = await offered(pool)
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    progress = await published(bus, events)
    await bus.close()
    (dead,) = (event for event in events if event.key == made[3] and event.seq == 5)
    assert progress.safe == {event.id for event in events} - {dead.id}
    assert progress.refused[dead.id] == Refusal("too large", dead=True)
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
    events = await offered(pool)
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    progress = await published(bus, events)
    await bus.close()
    taken = {(event.key, event.seq) for event in events if event.id in progress.safe}
    assert taken == {(second, 1), (free, 1), (free, 2), (free, 3)}
    refused = {(event.key, event.seq): progress.refused[event.id] for event in events if event.id in progress.refused}
    missing = Refusal("the topic not a topic is missing, and was not created: InvalidTopicError")
    assert refused == {(first, 1): missing, (second, 2): missing}


async def test_a_missing_topic_is_looked_for_once_in_a_while_and_beside_the_others(
    dsn: str, pool: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    partitions_for = AIOKafkaProducer.partitions_for

    async def counted(producer: AIOKafkaProducer, topic: str) -> set[int]:
        nonlocal looks
        if topic == "not a topic":
            looks += 1
            await asyncio.Event().wait()
        found: set[int] = await partitions_for(producer, topic)
        return found

    monkeypatch.setattr(AIOKafkaProducer, "partitions_for", counted)
    stuck, free = await make_meetings(pool, 2)
    await write(pool, stuck, 1)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE outbox SET topic = 'not a topic'")
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    relaying = asyncio.create_task(relay.run(dsn, KafkaPlace(), bus))
    try:
        await write(pool, free, 1)
        assert await consume(broker, 1) == {free: [1]}
        async with pool.acquire() as connection, asyncio.timeout(30):
            while await KafkaPlace().reason(connection) is None:
                await asyncio.sleep(0.02)
        await write(pool, free, 5)
        assert await consume(broker, 6) == {free: [1, 2, 3, 4, 5, 6]}
    finally:
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        await bus.close()
    assert looks == 1


async def test_an_event_refused_again_and_again_is_a_dead_letter(
    pool: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The brokers' policy rejects a record; the rest of its batch, and later records, are delivered."""
    refused, free = await make_meetings(pool, 2)
    send = KafkaBus._send

    async def strict(bus: KafkaBus, batch: Any) -> Exception | None:
        if any(event.kind == "forbidden" for event in batch.events):
            refusal: Exception = PolicyViolationError("no such words")
            return refusal
        return await send(bus, batch)

    monkeypatch.setattr(KafkaBus, "_send", strict)
    async with pool.acquire() as connection:
        await outbox.append(connection, outbox.MEETING_EVENTS, refused, "forbidden", {})
    for meeting in (refused, free):
        await write(pool, meeting, 1)
    bad, behind, other = await offered(pool)
    bus = KafkaBus(KafkaAccess(brokers=(broker.address,)))
    progress = await published(bus, [bad, behind, other])
    assert progress.safe == {other.id}
    assert not progress.refused[bad.id].dead and "no such words" in (progress.refused[bad.id].reason or "")
    progress = await published(bus, [replace(bad, attempts=11), behind])
    await bus.close()
    assert progress.refused[bad.id].dead and progress.safe == {behind.id}
