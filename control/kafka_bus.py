"""Events to Kafka: topic by kind of event, keyed by meeting, so that each meeting's events keep their order.

They go in rounds of one record batch for each partition. A batch is taken whole or not at all, and a meeting's next is
sent when the one before is acknowledged, so that nothing overtakes, whatever the brokers refuse. The producer is
idempotent: what it repeats within its life arrives once. After a restart the outbox may repeat an event; consumers drop
a `seq` that they have seen. What the brokers can never take goes to the dead-letter topic.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from control.store.outbox import Event

_LOG = logging.getLogger(__name__)
DEAD_LETTERS = "meeting.tasks.dlq"
_MAX_EVENT_BYTES = 1_000_000
_BATCH_BYTES = 128 * 1024
_PARTITIONER = DefaultPartitioner()
"""Where every client of Kafka puts a key."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordTooLargeError)


@dataclass(slots=True)
class _Batch:
    """Records for one partition; `records` is aiokafka's builder, which says when it is full."""

    topic: str
    partition: int
    records: Any
    events: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> bool:
        """Add the event; False when there is no room."""
        added = self.records.append(
            timestamp=None, key=event.key.encode(), value=encode(event), headers=_headers(event)
        )
        if added is not None:
            self.events.append(event)
        return added is not None


class KafkaBus:
    """A bus over Kafka's brokers, connected at the first event and again after a failure."""

    def __init__(self, brokers: tuple[str, ...]) -> None:
        self._brokers = list(brokers)
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, events: Sequence[Event]) -> set[int]:
        """Return the ids of those that all in-sync replicas have."""
        safe: set[int] = set()
        waiting: dict[str, deque[Event]] = {}
        for event in events:
            waiting.setdefault(event.key, deque()).append(event)
        partitions: dict[str, list[int]] = {}
        try:
            while waiting:
                await self._find_partitions(partitions, {queue[0].topic for queue in waiting.values()})
                batches = _next_round(await self._connected(), partitions, waiting)
                outcomes = await asyncio.gather(*(self._send(batch) for batch in batches), return_exceptions=True)
                for batch, outcome in zip(batches, outcomes, strict=True):
                    await self._settle(batch, outcome, safe, waiting)
        except (KafkaError, TimeoutError) as error:
            _LOG.warning("Kafka takes no events: %s", error)
            await self.close()
        return safe

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except KafkaError as error:
                _LOG.info("the producer did not stop cleanly: %s", error)

    async def _find_partitions(self, known: dict[str, list[int]], topics: set[str]) -> None:
        """Add the partitions of topics that are not known yet; of one that is not there, none."""
        for topic in topics - known.keys():
            producer = await self._connected()
            try:
                known[topic] = sorted(await producer.partitions_for(topic))
            except KafkaError as error:
                _LOG.warning("the topic %s cannot be had: %s", topic, error)
                known[topic] = []

    async def _send(self, batch: _Batch) -> None:
        if len(batch.events) == 1 and len(encode(batch.events[0])) > _MAX_EVENT_BYTES:
            raise MessageSizeTooLargeError(f"more than {_MAX_EVENT_BYTES} bytes")
        producer = await self._connected()
        await (await producer.send_batch(batch.records, batch.topic, partition=batch.partition))

    async def _settle(
        self, batch: _Batch, outcome: BaseException | None, safe: set[int], waiting: dict[str, deque[Event]]
    ) -> None:
        """Note what became of a batch; of meetings that have an event refused, the rest waits too."""
        if isinstance(outcome, _TOO_LARGE):
            outcome = await self._send_singly(batch, safe)
        elif outcome is None:
            safe.update(event.id for event in batch.events)
        if outcome is None:
            return
        if not isinstance(outcome, KafkaError | TimeoutError):
            raise outcome
        _LOG.warning("Kafka did not take %d events: %s", len(batch.events), outcome)
        for event in batch.events:
            waiting.pop(event.key, None)
        await self.close()

    async def _send_singly(self, refused: _Batch, safe: set[int]) -> BaseException | None:
        """Send what is too large together one by one; what is too large alone goes to the dead letters."""
        try:
            await self.close()  # the next of an idempotent producer would have to follow on what was refused
            for event in refused.events:
                if len(refused.events) == 1 or not await self._fits(event, refused):
                    await self._bury(event)
                safe.add(event.id)
        except (KafkaError, TimeoutError) as error:
            return error
        return None

    async def _fits(self, event: Event, refused: _Batch) -> bool:
        producer = await self._connected()
        alone = _Batch(refused.topic, refused.partition, producer.create_batch())
        alone.add(event)
        try:
            await self._send(alone)
        except _TOO_LARGE:
            await self.close()
            return False
        return True

    async def _bury(self, event: Event) -> None:
        _LOG.warning("event %d is too large for Kafka", event.id)
        reference = {"event": event.id, "topic": event.topic, "kind": event.kind, "error": "too large"}
        producer = await self._connected()
        await producer.send_and_wait(DEAD_LETTERS, msgspec.json.encode(reference), key=event.key.encode())

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._brokers,
                enable_idempotence=True,
                acks="all",
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=10_000,
                client_id="parley-control",
            )
            try:
                await producer.start()
            except KafkaError:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


def _next_round(
    producer: AIOKafkaProducer, partitions: dict[str, list[int]], waiting: dict[str, deque[Event]]
) -> list[_Batch]:
    """Take what may be sent now from `waiting`: of each meeting the next events of one topic."""
    batches: dict[tuple[str, int], _Batch] = {}
    for key, queue in list(waiting.items()):
        topic = queue[0].topic
        if partitions[topic]:
            partition = _PARTITIONER(key.encode(), partitions[topic], partitions[topic])
            if (topic, partition) not in batches:
                batches[topic, partition] = _Batch(topic, partition, producer.create_batch())
            while queue and queue[0].topic == topic and batches[topic, partition].add(queue[0]):
                queue.popleft()
        if not queue or not partitions[topic]:
            del waiting[key]
    return list(batches.values())


def _headers(event: Event) -> list[tuple[str, bytes]]:
    headers = [("kind", event.kind.encode()), ("seq", str(event.seq).encode()), ("id", str(event.id).encode())]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    return headers


def encode(event: Event) -> bytes:
    """Return the event as consumers get it."""
    return msgspec.json.encode(
        {
            "id": event.id,
            "meeting": event.meeting_id,
            "seq": event.seq,
            "kind": event.kind,
            "at": event.created_at,
            "data": event.payload,
        }
    )
