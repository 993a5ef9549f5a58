"""Media quality of participants as reported by the sfu: one row per minute, and one on leaving."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control.database import Connection
from control.store.window import Window, rows
from sfu.api.facts import QualityMeasured


@dataclass(frozen=True, slots=True)
class QualityRow:
    """`tracks` are as in `sfu.api.facts.TrackQuality`."""

    id: int
    participant_id: str
    at: datetime
    seconds: int
    final: bool
    round_trip_ms: float | None
    estimate: int | None
    tracks: list[dict[str, Any]]


async def add(connection: Connection, fact: QualityMeasured, at: datetime) -> None:
    """Store a measurement; raises IntegrityConstraintViolationError for an unknown participant."""
    await connection.insert(
        "participant_quality",
        meeting_id=fact.room,
        participant_id=fact.participant,
        at=at,
        seconds=fact.seconds,
        final=fact.final,
        round_trip_ms=fact.round_trip_ms,
        estimate=fact.estimate,
        tracks=msgspec.to_builtins(fact.tracks),
    )


async def page(
    connection: Connection, meeting: str, participant: str | None, window: Window, search: str = ""
) -> list[QualityRow]:
    """Return a page of the rows of a meeting, or of one participant, or of those in whose names `search` occurs."""
    return await rows(
        connection,
        QualityRow,
        "SELECT q.*, p.name FROM participant_quality q JOIN meeting_participants p ON p.id = q.participant_id"
        " WHERE q.meeting_id = $1 AND ($2::text IS NULL OR q.participant_id = $2)",
        window,
        meeting,
        participant,
        search=search,
        searched=("name", "participant_id"),
    )
