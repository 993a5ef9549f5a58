"""An event as a record of Kafka: the same the first time and when it is published again."""

from typing import NamedTuple

import msgspec

from control.store.outbox import Event

DEAD_LETTERS = "meeting.tasks.dlq"


class KafkaRecord(NamedTuple):
    """What aiokafka is given, by the names of its arguments."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def record(event: Event, *, replayed: bool = False) -> KafkaRecord:
    """Return the record of an event; `replayed` marks one that comes after later ones of its key."""
    headers = [("kind", event.kind.encode()), ("seq", str(event.seq).encode()), ("id", str(event.id).encode())]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    if replayed:
        headers.append(("replayed", b"1"))
    value = {
        "id": event.id,
        "meeting": event.meeting_id,
        "seq": event.seq,
        "kind": event.kind,
        "at": event.created_at,
        "data": event.payload,
    }
    return KafkaRecord(event.key.encode(), msgspec.json.encode(value), headers)


def notice(event: Event, reason: str) -> KafkaRecord:
    """Return the record that names a dead letter to who reads the topic of dead letters."""
    value = {"event": event.id, "topic": event.topic, "kind": event.kind, "error": reason}
    return KafkaRecord(event.key.encode(), msgspec.json.encode(value), [])
