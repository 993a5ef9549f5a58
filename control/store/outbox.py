"""Outbox of events, which are written in the transaction that they report and numbered without gaps per meeting.

The number comes from the meeting's row, whose lock is held until commit, so of two events the lower number is committed
first. The progress of each bus is in `control.store.event_places`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection
from foundation import tracing

USER_EVENTS = "meeting.events.user_events"
MEETING_EVENTS = "meeting.events.meeting_events"
MEDIA_EVENTS = "meeting.events.media_events"
AI_EVENTS = "meeting.events.ai_events"
SIGNALING_EVENTS = "meeting.events.signaling_events"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. It may arrive more than once, so consumers drop an `id` that they have already seen."""

    id: int
    topic: str
    key: str
    meeting_id: str | None
    seq: int
    kind: str
    payload: dict[str, Any]
    created_at: datetime
    traceparent: str = ""
    attempts: int = 0
    """Number of refusals by Kafka."""


async def append(
    connection: Connection, topic: str, meeting: str, kind: str, payload: dict[str, Any], *, traceparent: str = ""
) -> int | None:
    """Append an event of a meeting and return its number, or None if the meeting does not exist.

    It belongs to the given trace, or else to the current one.
    """
    seq = await connection.fetchval(
        "UPDATE meetings SET event_seq = event_seq + 1 WHERE id = $1 RETURNING event_seq", meeting
    )
    if seq is None:
        return None
    await connection.execute(
        "INSERT INTO outbox (topic, key, meeting_id, seq, kind, payload, traceparent)"
        " VALUES ($1, $2, $2, $3, $4, $5, $6)",
        topic,
        meeting,
        seq,
        kind,
        payload,
        traceparent or tracing.current(),
    )
    await connection.execute("NOTIFY outbox")
    return int(seq)


async def append_for_user(
    connection: Connection, user: str, kind: str, payload: dict[str, Any], topic: str = USER_EVENTS
) -> None:
    """Append an event of an account. Such events are ordered by id only."""
    await connection.execute(
        "INSERT INTO outbox (topic, key, seq, kind, payload, traceparent) VALUES ($1, $2, 0, $3, $4, $5)",
        topic,
        user,
        kind,
        payload,
        tracing.current(),
    )
    await connection.execute("NOTIFY outbox")
