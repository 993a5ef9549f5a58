"""Kafka records of events, identical when an event is published again."""

from typing import NamedTuple

import msgspec

from control.events.catalogue import version_of
from control.store.outbox import Event

DEAD_LETTERS = "meeting.tasks.dlq"


class KafkaRecord(NamedTuple):
    """Arguments of aiokafka for one record."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def record(event: Event, *, replayed: bool = False) -> KafkaRecord:
    """Return the record of an event; `replayed` marks one that comes after later events of its key."""
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
        "v": version_of(event.kind),
        "at": event.created_at,
        "data": event.payload,
    }
    return KafkaRecord(event.key.encode(), msgspec.json.encode(value), headers)


def notice(event: Event, reason: str) -> KafkaRecord:
    """Return the record that announces a dead letter."""
    value = {"event": event.id, "topic": event.topic, "kind": event.kind, "error": reason}
    return KafkaRecord(event.key.encode(), msgspec.json.encode(value), [])
