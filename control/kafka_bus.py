"""Events to Kafka: topic by kind of event, keyed by meeting, so that each meeting's events keep their order.

The producer is idempotent: what it repeats within its life arrives once. After a restart the outbox may repeat an
event; consumers drop a `seq` that they have seen. What the broker can never take goes to the dead-letter topic.
"""

import logging

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError

from control.store.outbox import Event
from sfu.api import tracing

_LOG = logging.getLogger(__name__)
DEAD_LETTERS = "meeting.tasks.dlq"


class KafkaBus:
    """A bus over Kafka's brokers, connected at the first event and again after a failure."""

    def __init__(self, brokers: tuple[str, ...]) -> None:
        self._brokers = list(brokers)
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, event: Event) -> None:
        """Return once all in-sync replicas have the event; raises OSError to have it offered again."""
        try:
            producer = await self._connected()
            await self._send(producer, event)
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise OSError(f"Kafka did not take the event: {error}") from error

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except KafkaError as error:
                _LOG.info("the producer did not stop cleanly: %s", error)

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> None:
        headers = [("kind", event.kind.encode()), ("seq", str(event.seq).encode()), ("id", str(event.id).encode())]
        if traceparent := tracing.current() or event.traceparent:
            headers.append(("traceparent", traceparent.encode()))
        try:
            await producer.send_and_wait(event.topic, encode(event), key=event.key.encode(), headers=headers)
        except (MessageSizeTooLargeError, RecordTooLargeError) as error:
            _LOG.warning("event %d is too large for Kafka: %s", event.id, error)
            reference = {"event": event.id, "topic": event.topic, "kind": event.kind, "error": str(error)}
            await producer.send_and_wait(DEAD_LETTERS, msgspec.json.encode(reference), key=event.key.encode())

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._brokers,
                enable_idempotence=True,
                acks="all",
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
