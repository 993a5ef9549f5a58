"""Egresses: files ordered through LiveKit's API. Their state is derived from the recording and the film."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection
from control.identifiers import new_id
from control.store import films, outbox, recordings

MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class EgressRow:
    """An egress and the basis of its state. `owns`: it started the recording. `made` is the film's result."""

    id: str
    meeting_id: str
    recording_id: str
    room: str
    request: bytes
    kind: str
    filepath: str
    options: dict[str, Any]
    owns: bool
    film: str | None
    error: str
    started_at: datetime
    ended_at: datetime | None
    recording_state: str
    stopped_at: datetime | None
    recording_ms: int | None
    made: dict[str, Any] | None
    job_state: str | None
    job_error: str | None


_ALL = """SELECT e.*, r.state AS recording_state, r.stopped_at, r.duration_ms AS recording_ms, f.made,
    j.state AS job_state, j.error AS job_error
    FROM livekit_egresses e JOIN meeting_recordings r ON r.id = e.recording_id
    LEFT JOIN recording_films f ON f.id = e.film LEFT JOIN processing_jobs j ON j.id = e.film"""


async def add(connection: Connection, **values: Any) -> EgressRow:
    """Add an egress of a running recording, and write its event."""
    made = new_id("egress")
    await connection.insert("livekit_egresses", id=made, **values)
    row = await by_id(connection, made)
    assert row is not None
    await _report(connection, row, "egress.started")
    return row


async def by_id(connection: Connection, egress: str) -> EgressRow | None:
    return await connection.one(EgressRow, f"{_ALL} WHERE e.id = $1", egress)


async def listed(connection: Connection, room: str, egress: str) -> list[EgressRow]:
    """Return the newest egresses, optionally of one room or with one id."""
    return await connection.all(
        EgressRow,
        f"{_ALL} WHERE ($1 = '' OR e.room = $1) AND ($2 = '' OR e.id = $2) ORDER BY e.started_at DESC, e.id LIMIT $3",
        room,
        egress,
        MOST_LISTED,
    )


async def end(connection: Connection, egress: str) -> bool:
    """Store the end of an egress; return whether only egresses needed the recording, and none does any longer."""
    row = await by_id(connection, egress)
    if row is None or not await connection.change(
        "UPDATE livekit_egresses SET ended_at = now() WHERE id = $1 AND ended_at IS NULL", egress
    ):
        return False
    await _report(connection, row, "egress.updated")
    others = await connection.all(EgressRow, f"{_ALL} WHERE e.recording_id = $1", row.recording_id)
    return any(one.owns for one in others) and all(one.ended_at is not None for one in others)


async def recorded(connection: Connection, recording: str, node: str, host: str) -> None:
    """Order the films of a finished recording's egresses, each from the start to the end of its egress."""
    row = await recordings.by_id(connection, recording)
    waiting = await connection.all(EgressRow, f"{_ALL} WHERE e.recording_id = $1 AND e.film IS NULL", recording)
    for egress in waiting if row is not None else ():
        assert row is not None
        ended_at = egress.ended_at or row.stopped_at
        duration = row.duration_ms or 0
        if not duration:
            await _update(connection, egress.id, ended_at, None)
            await _report(connection, egress, "egress.ended")
            continue
        start = max(0, int((egress.started_at - row.started_at).total_seconds() * 1000))
        end = duration if egress.ended_at is None else int((egress.ended_at - row.started_at).total_seconds() * 1000)
        options = dict(egress.options)
        if not egress.owns or end < duration:
            span = (min(start, duration - 1), min(max(end, start + 1), duration))
            options["ranges"] = [span if span[0] < span[1] else (0, duration)]
        film, _ = await films.order(connection, recording, node, host=host, duration_ms=duration, film=options)
        await _update(connection, egress.id, ended_at, film.id)


async def _update(connection: Connection, egress: str, ended_at: datetime | None, film: str | None) -> None:
    await connection.execute(
        "UPDATE livekit_egresses SET ended_at = $2, film = $3 WHERE id = $1", egress, ended_at, film
    )


async def filmed(connection: Connection, film: str) -> None:
    """Write the event for the end of a film's egress, if the film belongs to one."""
    found: Sequence[EgressRow] = await connection.all(EgressRow, f"{_ALL} WHERE e.film = $1", film)
    for row in found:
        await _report(connection, row, "egress.ended")


async def _report(connection: Connection, row: EgressRow, kind: str) -> None:
    payload = {"meeting": row.meeting_id, "egress": row.id, "recording": row.recording_id}
    await outbox.append(connection, outbox.MEDIA_EVENTS, row.meeting_id, kind, payload)
