"""25,000 events into three Kafka brokers with accounts, TLS and access lists, while brokers crash, hang and restart."""

import asyncio
import signal
import time
from collections.abc import Iterator

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from control.config import KafkaAccess
from control.database import Pool
from control.events import relay
from control.events.kafka_bus import KafkaBus
from control.store import outbox
from control.store.event_places import KafkaPlace
from tests.control.test_kafka import pool
from tests.control.test_outbox import make_meetings, write
from tests.support.apache_kafka import ApacheKafka, KafkaCluster, is_installed, running_kafka

__all__ = ["pool"]
MEETINGS, EVENTS_EACH = 50, 500
PER_SECOND = 150


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    assert is_installed(), "run `make real` first"
    with running_kafka(3, secured=True) as running:
        yield running


def access(cluster: KafkaCluster) -> KafkaAccess:
    assert cluster.account is not None
    return KafkaAccess(
        brokers=cluster.addresses,
        tls=True,
        ca_file=cluster.account.authority,
        username=cluster.account.username,
        password=cluster.account.password,
    )


async def test_no_event_is_lost_or_out_of_order(dsn: str, pool: Pool, cluster: KafkaCluster) -> None:
    made = await make_meetings(pool, MEETINGS)
    bus = KafkaBus(access(cluster))
    relaying = asyncio.create_task(relay.run(dsn, KafkaPlace(), bus))
    writing = asyncio.create_task(write_steadily(pool, made))
    try:
        await asyncio.to_thread(break_brokers, cluster.brokers)
        await writing
        begun = time.monotonic()
        async with asyncio.timeout(180):
            while (waiting := await backlog(pool)) > 0:
                await asyncio.sleep(0.2)
        print(f"backlog empty {time.monotonic() - begun:.1f} s after the last event", waiting)
    finally:
        for task in (writing, relaying):
            task.cancel()
        await asyncio.gather(writing, relaying, return_exceptions=True)
        await bus.close()
    seen, repeated = await consume(cluster, MEETINGS * EVENTS_EACH)
    print(f"{MEETINGS * EVENTS_EACH} events, {repeated} repeated")
    assert seen == {one: list(range(1, EVENTS_EACH + 1)) for one in made}


async def write_steadily(pool: Pool, meetings: list[str]) -> None:
    begun, written = time.monotonic(), 0
    for _ in range(EVENTS_EACH // 5):
        await asyncio.gather(*(write(pool, one, 5) for one in meetings))
        written += 5 * len(meetings)
        await asyncio.sleep(max(0.0, begun + written / PER_SECOND - time.monotonic()))


def break_brokers(brokers: list[ApacheKafka]) -> None:
    """Crash one, then two, then hang one for 25 s, then restart all, one after another."""
    one, two, three = brokers
    time.sleep(10)
    one.kill(signal.SIGKILL)
    time.sleep(15)
    one.start()
    time.sleep(5)
    for broker in (one, two):
        broker.kill(signal.SIGKILL)
    time.sleep(15)
    for broker in (one, two):
        broker.launch()
    for broker in (one, two):
        broker.wait()
    time.sleep(5)
    three.kill(signal.SIGSTOP)
    time.sleep(25)
    three.kill(signal.SIGCONT)
    time.sleep(5)
    for broker in brokers:
        broker.kill(signal.SIGTERM)
        broker.start()


async def backlog(pool: Pool) -> int:
    async with pool.acquire() as connection:
        return (await KafkaPlace().waiting(connection)).events


async def consume(cluster: KafkaCluster, total: int) -> tuple[dict[str, list[int]], int]:
    """Return the numbers of each meeting as a consumer that drops known ids sees them, and how many it dropped."""
    consumer = AIOKafkaConsumer(
        outbox.MEETING_EVENTS, auto_offset_reset="earliest", group_id=None, **access(cluster).arguments()
    )
    await consumer.start()
    known: set[int] = set()
    seen: dict[str, list[int]] = {}
    repeated = 0
    try:
        async with asyncio.timeout(120):
            while len(known) < total:
                event = msgspec.json.decode((await consumer.getone()).value)
                if event["id"] in known:
                    repeated += 1
                    continue
                known.add(event["id"])
                seen.setdefault(event["meeting"], []).append(event["seq"])
    finally:
        await consumer.stop()
    return seen, repeated
