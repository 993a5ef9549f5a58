"""Kafka bus. An event's kind determines its topic; its key is the meeting, so each meeting's events stay in order.

One record batch per partition is in flight at a time. It is accepted completely or not at all. A key's next events are
sent after the earlier ones are acknowledged, so order is kept even when brokers refuse some. A batch may take as long
as the brokers need: `publish` waits briefly, and a later call reports the outcome. Meanwhile, all other keys and
partitions continue. The producer is idempotent: records that it repeats during its lifetime arrive once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)
from aiokafka.partitioner import DefaultPartitioner

from control.config import KafkaAccess
from control.events.bus import BusAway, Progress, Refusal
from control.events.kafka_producers import Producers
from control.events.kafka_records import DEAD_LETTERS, notice, record
from control.events.kafka_topics import Topics
from control.store.outbox import Event
from foundation import last_lines
from foundation.background import cancel_all
from foundation.failures import describe
from foundation.outages import Outages

_log = logging.getLogger(__name__)
_MAX_EVENT_BYTES = 1_000_000
_GRACE_SECONDS = 0.8
"""Seconds that a call waits for its flights."""
_SLOW_SECONDS = 5.0
"""Seconds after which a flight is reported."""
_TRIES = 12
"""Number of refusals for a lasting reason after which an event becomes a dead letter, over minutes."""
_PARTITIONER = DefaultPartitioner()
"""The default partitioner of Kafka's clients."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordTooLargeError)
_NOT_ABOUT_RECORDS = (
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)


@dataclass(slots=True)
class _Batch:
    """Records for one partition; `records` is aiokafka's builder, which reports when it is full."""

    topic: str
    partition: int
    records: Any
    events: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> bool:
        """Add the event; return False if the batch is full."""
        added = self.records.append(timestamp=None, **record(event)._asdict())
        if added is not None:
            self.events.append(event)
        return added is not None


@dataclass(slots=True)
class _Flight:
    batch: _Batch
    task: asyncio.Task[Progress]
    begun: float


class KafkaBus:
    """Bus over Kafka's brokers. It connects at the first event, and again after a failure."""

    def __init__(self, access: KafkaAccess) -> None:
        self._producers = Producers(access)
        self._topics = Topics(access)
        self._flights: dict[tuple[str, int], _Flight] = {}
        self._letters = Outages(f"dead letters are not announced in {DEAD_LETTERS}")

    async def publish(self, events: Sequence[Event]) -> Progress:
        """Return the events that all in-sync replicas have stored, and those that were refused."""
        progress = Progress()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        waiting: dict[str, deque[Event]] = {}
        for event in events:
            waiting.setdefault(event.key, deque()).append(event)
        self._land(waiting, progress)
        while waiting:
            await self._launch(waiting, progress)
            # Earlier calls have already waited for their flights.
            fresh = {one.task for one in self._flights.values() if one.begun >= begun} | self._topics.looking(begun)
            left = begun + _GRACE_SECONDS - loop.time()
            if (
                not fresh
                or left <= 0
                or not (await asyncio.wait(fresh, timeout=left, return_when="FIRST_COMPLETED"))[0]
            ):
                break
            self._land(waiting, progress)
        self._hold(waiting, progress)
        return progress

    async def trouble(self) -> str | None:
        """Return why no broker answers; None if one does."""
        try:
            producer = await self._producers.current()
            answered: bool = await producer.client.force_metadata_update()
        except (KafkaError, BusAway) as error:
            return describe(error)
        return None if answered else last_lines.take("aiokafka") or "does not answer"

    async def close(self) -> None:
        """Abandon the flights. Their events may or may not arrive."""
        await cancel_all([flight.task for flight in self._flights.values()])
        await self._topics.close()
        await self._producers.close()

    def _land(self, waiting: dict[str, deque[Event]], progress: Progress) -> None:
        """Collect finished flights. Events behind a refused one wait, too."""
        for place, flight in list(self._flights.items()):
            if not flight.task.done():
                continue
            del self._flights[place]
            landed = flight.task.result()
            progress.add(landed)
            for event in flight.batch.events:
                if event.id in landed.refused and not landed.refused[event.id].dead:
                    waiting.pop(event.key, None)

    async def _launch(self, waiting: dict[str, deque[Event]], progress: Progress) -> None:
        """Send what can be sent now: for each key, the next events of one topic, if its partition is free."""
        producer = await self._producers.current()
        in_the_air = {event.key for flight in self._flights.values() for event in flight.batch.events}
        batches: dict[tuple[str, int], _Batch] = {}
        for key in [key for key in waiting if key not in in_the_air]:
            queue = waiting[key]
            topic = queue[0].topic
            missing = self._topics.missing(topic)
            partitions = self._topics.partitions(topic)
            if missing is not None:
                progress.refused[queue[0].id] = Refusal(missing)
                del waiting[key]
            elif not partitions:
                self._topics.look(producer, topic)
            else:
                partition = _PARTITIONER(key.encode(), partitions, partitions)
                if (topic, partition) not in self._flights:
                    batch = batches.setdefault((topic, partition), _Batch(topic, partition, producer.create_batch()))
                    while queue and queue[0].topic == topic and batch.add(queue[0]):
                        queue.popleft()
        now = asyncio.get_running_loop().time()
        for place, batch in batches.items():
            self._flights[place] = _Flight(batch, asyncio.create_task(self._fly(batch)), now)
        for key in [key for key, queue in waiting.items() if not queue]:
            del waiting[key]

    def _hold(self, waiting: dict[str, deque[Event]], progress: Progress) -> None:
        """Report each waiting key by its first waiting event."""
        now = asyncio.get_running_loop().time()
        for flight in self._flights.values():
            slow = now - flight.begun > _SLOW_SECONDS
            reason = f"the brokers have not answered yet (topic {flight.batch.topic})" if slow else None
            for event in _firsts(flight.batch.events):
                progress.refused.setdefault(event.id, Refusal(reason, under_way=True))
                waiting.pop(event.key, None)
        for queue in waiting.values():
            progress.refused.setdefault(queue[0].id, Refusal(under_way=True))

    async def _fly(self, batch: _Batch) -> Progress:
        """Send a batch and return the outcomes. If its content is refused, send its events one by one."""
        error = await self._send(batch)
        if error is None:
            return Progress(safe={event.id for event in batch.events})
        if not _is_lasting(error):
            self._topics.forget(batch.topic)
            return Progress(refused={event.id: Refusal(describe(error)) for event in _firsts(batch.events)})
        progress, stopped = Progress(), set[str]()
        for event in batch.events:
            if event.key not in stopped:
                known = error if len(batch.events) == 1 else None
                if not await self._send_alone(batch, event, progress, known):
                    stopped.add(event.key)
        return progress

    async def _send_alone(self, batch: _Batch, event: Event, progress: Progress, error: Exception | None) -> bool:
        """Send one event, unless its outcome is known; return whether the events behind it may follow."""
        if error is None:
            alone = _Batch(batch.topic, batch.partition, (await self._producers.current()).create_batch())
            alone.add(event)
            error = await self._send(alone)
        if error is None:
            progress.safe.add(event.id)
            return True
        too_large = isinstance(error, _TOO_LARGE)
        dead = too_large or (_is_lasting(error) and event.attempts + 1 >= _TRIES)
        reason = "too large" if too_large else f"{type(error).__name__}: {describe(error)}"
        progress.refused[event.id] = Refusal(reason, dead)
        if dead:
            await self._announce(event, reason)
        return dead

    async def _send(self, batch: _Batch) -> Exception | None:
        """Send a batch; return the error of a failure."""
        if len(batch.events) == 1 and len(record(batch.events[0]).value) > _MAX_EVENT_BYTES:
            too_large: Exception = MessageSizeTooLargeError(f"more than {_MAX_EVENT_BYTES} bytes")
            return too_large
        producer = None
        try:
            producer = await self._producers.current()
            await (await producer.send_batch(batch.records, batch.topic, partition=batch.partition))
        except Exception as error:
            # The next batch of an idempotent producer would have to continue the refused one.
            self._producers.retire(producer)
            return error
        return None

    async def _announce(self, event: Event, reason: str) -> None:
        """Announce a dead letter in the topic for dead letters; the outbox keeps it in any case."""
        failure: Exception | None = None
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                producer = await self._producers.current()
                await producer.send_and_wait(DEAD_LETTERS, **notice(event, reason)._asdict())
        except (KafkaError, BusAway, TimeoutError) as error:
            failure = error
        if line := self._letters.note(failure, asyncio.get_running_loop().time()):
            _log.warning("%s", line)


def _is_lasting(error: Exception) -> bool:
    """Return whether an error is caused by a record's content, so that a retry would fail too."""
    return (
        isinstance(error, BrokerResponseError | RecordTooLargeError)
        and not error.retriable
        and not isinstance(error, _NOT_ABOUT_RECORDS)
    )


def _firsts(events: Sequence[Event]) -> list[Event]:
    """Return the first event of each key."""
    return list({event.key: event for event in reversed(events)}.values())
