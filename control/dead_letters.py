"""Publishes again what Kafka once refused: the dead-letter topic names events, the outbox still has them for a week."""

from dataclasses import dataclass

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError, RecordTooLargeError

from control.database import prepare
from control.kafka_bus import DEAD_LETTERS, encode
from control.store import outbox

_GROUP = "parley-replay"
_WAIT_MS = 3000
MAX_BYTES = 16 * 1024 * 1024


class _Reference(msgspec.Struct, frozen=True):
    event: int


@dataclass(slots=True)
class Replayed:
    """What became of the dead letters: published, refused again (they stay), gone from the outbox."""

    published: int = 0
    refused: int = 0
    gone: int = 0


async def replay(dsn: str, brokers: tuple[str, ...], max_bytes: int = MAX_BYTES) -> Replayed:
    """Publish each dead letter's event once more; raises aiokafka's KafkaError and asyncpg's errors."""
    outcome = Replayed()
    connection = await asyncpg.connect(dsn, timeout=10)
    consumer = AIOKafkaConsumer(
        DEAD_LETTERS,
        bootstrap_servers=list(brokers),
        group_id=_GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=list(brokers), enable_idempotence=True, acks="all", max_request_size=max_bytes
    )
    try:
        await prepare(connection)
        await producer.start()
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        # What is refused again goes to the end of the topic, where this round does not look.
        while found := await consumer.getmany(timeout_ms=_WAIT_MS):
            for partition, records in found.items():
                for record in records:
                    if record.offset < ends.get(partition, 0):
                        await _publish(connection, producer, record, outcome)
            await consumer.commit()
            if all([await consumer.position(partition) >= end for partition, end in ends.items()]):
                break
    finally:
        await consumer.stop()
        await producer.stop()
        await connection.close()
    return outcome


async def _publish(
    connection: "asyncpg.Connection[asyncpg.Record]",
    producer: AIOKafkaProducer,
    record: ConsumerRecord,
    outcome: Replayed,
) -> None:
    try:
        reference = msgspec.json.decode(record.value, type=_Reference)
    except msgspec.DecodeError:
        outcome.gone += 1
        return
    event = await outbox.by_id(connection, reference.event)
    if event is None:
        outcome.gone += 1
        return
    try:
        await producer.send_and_wait(event.topic, encode(event), key=event.key.encode())
    except (MessageSizeTooLargeError, RecordTooLargeError):
        await producer.send_and_wait(DEAD_LETTERS, record.value, key=record.key)
        outcome.refused += 1
    else:
        outcome.published += 1
