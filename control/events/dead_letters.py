"""Replay of dead letters: events that Kafka refused permanently, which the outbox keeps for a week."""

import asyncio
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import BrokerResponseError, RecordTooLargeError

from control.config import KafkaAccess
from control.database import session
from control.events.kafka_records import record
from control.store import event_places

_BATCH = 100
_ANSWER_SECONDS = 30.0
MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Replayed:
    """Counts of dead letters that were published, or refused again (they stay)."""

    published: int = 0
    refused: int = 0


async def replay(dsn: str, access: KafkaAccess, max_bytes: int = MAX_BYTES) -> Replayed:
    """Publish each dead letter again, marked as replayed, since later events of its meeting were published first.

    Raises aiokafka's KafkaError, asyncpg's errors, and TimeoutError when the brokers do not answer.
    """
    outcome = Replayed()
    producer = AIOKafkaProducer(**access.arguments(), enable_idempotence=True, acks="all", max_request_size=max_bytes)
    try:
        async with session(dsn) as connection:
            await producer.start()
            last = 0
            while letters := await event_places.dead_letters(connection, _BATCH, after=last):
                for event in letters:
                    last = event.id
                    try:
                        async with asyncio.timeout(_ANSWER_SECONDS):
                            await producer.send_and_wait(event.topic, **record(event, replayed=True)._asdict())
                    except (BrokerResponseError, RecordTooLargeError):
                        outcome.refused += 1
                    else:
                        await event_places.revive(connection, event.id)
                        outcome.published += 1
    finally:
        await producer.stop()
    return outcome
