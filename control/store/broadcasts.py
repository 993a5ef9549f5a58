"""Broadcasts of meetings, at most one per meeting at a time, and the outputs that a meeting has for them."""

from datetime import datetime
from typing import Any

import msgspec

from control.database import Connection
from control.identifiers import new_id
from foundation.broadcasts import BroadcastReport, OutputKind

MOST_OUTPUTS = 10
STARTED_IT = "(owns_broadcast OR (owns AND recording_id IS NULL))"
"""Condition on an egress: it started its broadcast. Rows of the previous release have `owns` alone."""


class OutputRow(msgspec.Struct, frozen=True):
    """An output. `stream_key` is sealed; anyone with the `watch_key` of an HLS output may watch.

    `shows` is an OutputView, None if the output shows the broadcast's picture.
    """

    id: str
    meeting_id: str
    kind: OutputKind
    name: str
    url: str
    stream_key: str
    watch_key: str | None
    created_at: datetime
    shows: dict[str, Any] | None = None


class BroadcastRow(msgspec.Struct, frozen=True):
    """A broadcast, with the latest report of its recorder (foundation.broadcasts)."""

    id: str
    meeting_id: str
    options: dict[str, Any]
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    instance: str
    placement: int
    report: dict[str, Any] | None
    reported_at: datetime | None


async def outputs(connection: Connection, meeting: str) -> list[OutputRow]:
    return await connection.all(
        OutputRow, "SELECT * FROM broadcast_outputs WHERE meeting_id = $1 ORDER BY created_at, id", meeting
    )


async def used(connection: Connection, row: BroadcastRow) -> list[OutputRow]:
    """Return the outputs that a broadcast uses: all of its meeting's, or only those of egresses if one started it."""
    return await connection.all(
        OutputRow,
        "SELECT o.* FROM broadcast_outputs o WHERE o.meeting_id = $1"  # noqa: S608  a constant
        f" AND (NOT EXISTS (SELECT FROM livekit_egresses WHERE broadcast_id = $2 AND {STARTED_IT})"
        "  OR EXISTS (SELECT FROM livekit_streams s WHERE s.id = o.id)) ORDER BY o.created_at, o.id",
        row.meeting_id,
        row.id,
    )


async def add_output(connection: Connection, row: OutputRow) -> None:
    columns = msgspec.structs.asdict(row)
    del columns["created_at"]
    await connection.insert("broadcast_outputs", **columns)


async def remove_output(connection: Connection, meeting: str, output: str) -> bool:
    return await connection.change("DELETE FROM broadcast_outputs WHERE id = $1 AND meeting_id = $2", output, meeting)


async def start(connection: Connection, broadcast: str, meeting: str, by: str, options: dict[str, Any]) -> BroadcastRow:
    """Insert a running broadcast; the meeting must be locked and have none."""
    return await connection.insert_new(
        BroadcastRow, "broadcasts", id=broadcast, meeting_id=meeting, started_by=by, options=options
    )


async def running(connection: Connection, meeting: str) -> BroadcastRow | None:
    return await connection.one(
        BroadcastRow, "SELECT * FROM broadcasts WHERE meeting_id = $1 AND ended_at IS NULL", meeting
    )


async def by_id(connection: Connection, broadcast: str) -> BroadcastRow | None:
    return await connection.one(BroadcastRow, "SELECT * FROM broadcasts WHERE id = $1", broadcast)


async def end(connection: Connection, meeting: str) -> BroadcastRow | None:
    """End the running broadcast of a meeting; return it, None if there is none."""
    return await connection.one(
        BroadcastRow,
        "UPDATE broadcasts SET ended_at = now() WHERE meeting_id = $1 AND ended_at IS NULL RETURNING *",
        meeting,
    )


async def note(connection: Connection, broadcast: str, report: BroadcastReport) -> bool:
    """Store a recorder's report; return False if the broadcast is over or belongs to another recorder.

    A recorder takes over if its node has a higher epoch for the room, or if the other recorder is silent.
    """
    return await connection.change(
        "UPDATE broadcasts SET instance = $2, placement = $3, report = $4, reported_at = now()"
        " WHERE id = $1 AND ended_at IS NULL AND (instance IN ('', $2) OR placement < $3"
        "  OR reported_at < now() - interval '10 seconds')",
        broadcast,
        report.instance,
        report.placement,
        msgspec.to_builtins(report),
    )


async def watched(connection: Connection, watch_key: str) -> tuple[str, str] | None:
    """Return the recorder and the id of the output with a watch key; None if it is not live."""
    found = await connection.fetchrow(
        "SELECT b.instance, o.id FROM broadcast_outputs o JOIN broadcasts b ON b.meeting_id = o.meeting_id"
        " WHERE o.watch_key = $1 AND b.instance <> ''"
        " AND (b.ended_at IS NULL OR b.ended_at > now() - interval '30 seconds')"
        " ORDER BY b.started_at DESC LIMIT 1",
        watch_key,
    )
    return None if found is None else (found["instance"], found["id"])


async def abandoned(connection: Connection) -> list[str]:
    """Return the meetings that are broadcast but have been empty for a minute."""
    rows = await connection.fetch(
        "SELECT b.meeting_id FROM broadcasts b WHERE b.ended_at IS NULL AND b.started_at < now() - interval '1 minute'"
        " AND NOT EXISTS (SELECT FROM meeting_rooms l WHERE l.meeting_id = b.meeting_id"
        "  AND (l.closed_at IS NULL OR l.closed_at > now() - interval '1 minute'))"
    )
    return [row["meeting_id"] for row in rows]


def new_watch_key() -> str:
    """Return a new watch key."""
    return new_id("watch")
