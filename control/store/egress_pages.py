"""Egresses of web pages, whose pages are streams of stream_keys. An egress begins when its page has started."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection
from control.store import egresses
from control.store.egresses import EgressRow


@dataclass(frozen=True, slots=True)
class PageRow:
    """The page of an egress, with the latest report about its stream.

    `is_waiting`: the page has not started. `has_begun`: the egress has a recording or a broadcast.
    """

    egress: str
    meeting_id: str
    is_waiting: bool
    has_begun: bool
    started_at: datetime
    ended_at: datetime | None
    report: dict[str, Any] | None
    reported_at: datetime | None


async def unfinished(connection: Connection, streams: Collection[str] | None = None) -> list[PageRow]:
    """Return the pages that are open or wait for a browser: those with these streams, or all."""
    return await connection.all(
        PageRow,
        "SELECT e.id AS egress, e.meeting_id, e.page_order <> '' AS is_waiting, e.started_at, e.ended_at, k.report,"
        " coalesce(e.recording_id, e.broadcast_id) IS NOT NULL AS has_begun, k.reported_at"
        " FROM livekit_egresses e JOIN meetings m ON m.id = e.meeting_id JOIN stream_keys k ON k.id = e.page"
        " WHERE e.page <> '' AND m.status <> 'ended' AND ($1::text[] IS NULL OR e.page = ANY($1)) ORDER BY e.id",
        None if streams is None else list(streams),
    )


async def meeting_of(connection: Connection, egress: str) -> str:
    """Return the meeting in which the page of an egress is shown."""
    return await connection.value(str, "SELECT meeting_id FROM livekit_egresses WHERE id = $1", egress)


async def take_order(connection: Connection, egress: str) -> str:
    """Return the sealed request of an egress that waits for its page, once; "" for the others."""
    taken = await connection.fetchval(
        "UPDATE livekit_egresses e SET page_order = '', started_at = now()"
        " FROM (SELECT id, page_order FROM livekit_egresses WHERE id = $1 FOR UPDATE) before"
        " WHERE e.id = before.id AND before.page_order <> '' AND e.ended_at IS NULL RETURNING before.page_order",
        egress,
    )
    return taken or ""


async def end(connection: Connection, row: EgressRow, error: str) -> None:
    """Store why the egress of a page ended; end it, unless it ends with its broadcast. A film may still be made."""
    await connection.execute(
        "UPDATE livekit_egresses SET error = $2, page_order = '' WHERE id = $1 AND ended_at IS NULL", row.id, error
    )
    if row.recording_id is not None or row.broadcast_id is None:
        await egresses.end(connection, row.id)
