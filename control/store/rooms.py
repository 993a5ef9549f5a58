"""Live state of meetings: desired states, and the periods in which rooms were open."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control.database import Connection
from sfu.api.desired_state import DesiredState
from sfu.api.facts import TrackPublished


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One period in which a room was live."""

    id: int
    meeting_id: str
    node: str
    boot: str
    opened_at: datetime


async def create_state(connection: Connection, state: DesiredState) -> None:
    await connection.insert("room_state", meeting_id=state.room, version=state.version, document=state)


async def state(connection: Connection, meeting: str) -> DesiredState | None:
    return _decode(await connection.fetchval("SELECT document FROM room_state WHERE meeting_id = $1", meeting))


async def versions(connection: Connection, meetings: Collection[str]) -> dict[str, int]:
    """Return the versions of the desired states of those meetings that exist."""
    rows = await connection.fetch(
        "SELECT meeting_id, version FROM room_state WHERE meeting_id = ANY($1::text[])", list(meetings)
    )
    return {row["meeting_id"]: row["version"] for row in rows}


async def edit_state(
    connection: Connection, meeting: str, edit: Callable[[DesiredState], DesiredState]
) -> DesiredState | None:
    """Apply `edit` under the row's lock, and increment the version if anything changed. Needs a transaction.

    Return the current state, or None if the meeting does not exist.
    """
    stored = await connection.fetchval("SELECT document FROM room_state WHERE meeting_id = $1 FOR UPDATE", meeting)
    before = _decode(stored)
    if before is None:
        return None
    after = edit(before)
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1)
    await connection.execute(
        "UPDATE room_state SET version = $2, document = $3, updated_at = now() WHERE meeting_id = $1",
        meeting,
        after.version,
        after,
    )
    return after


def _decode(document: Any) -> DesiredState | None:
    return None if document is None else msgspec.convert(document, DesiredState)


async def live(connection: Connection, meeting: str) -> RoomRow | None:
    return await connection.one(
        RoomRow, "SELECT * FROM meeting_rooms WHERE meeting_id = $1 AND closed_at IS NULL", meeting
    )


async def open_room(connection: Connection, meeting: str, node: str, boot: str, at: datetime) -> None:
    await connection.insert("meeting_rooms", meeting_id=meeting, node=node, boot=boot, opened_at=at)


async def close_room(connection: Connection, meeting: str, at: datetime, reason: str) -> bool:
    """Record that the live room closed; return False if none was live."""
    closed = await connection.fetchval(
        "UPDATE meeting_rooms SET closed_at = $2, close_reason = $3"
        " WHERE meeting_id = $1 AND closed_at IS NULL RETURNING id",
        meeting,
        at,
        reason,
    )
    await connection.execute(
        "UPDATE media_streams SET unpublished_at = $2 WHERE meeting_id = $1 AND unpublished_at IS NULL", meeting, at
    )
    return closed is not None


async def stale(connection: Connection, node: str, boot: str) -> list[RoomRow]:
    """Return the rooms left open by an earlier process of `node`."""
    return await connection.all(
        RoomRow, "SELECT * FROM meeting_rooms WHERE node = $1 AND boot <> $2 AND closed_at IS NULL", node, boot
    )


async def live_on(connection: Connection, node: str) -> list[RoomRow]:
    return await connection.all(RoomRow, "SELECT * FROM meeting_rooms WHERE node = $1 AND closed_at IS NULL", node)


async def publish_track(connection: Connection, track: TrackPublished, at: datetime) -> None:
    await connection.insert(
        "media_streams",
        then="ON CONFLICT (meeting_id, track) DO UPDATE SET codec = excluded.codec, unpublished_at = NULL",
        track=track.track,
        meeting_id=track.room,
        participant_id=track.participant,
        source=track.source,
        codec=track.codec,
        published_at=at,
    )


async def unpublish_track(connection: Connection, meeting: str, track: str, at: datetime) -> None:
    await connection.execute(
        "UPDATE media_streams SET unpublished_at = $3 WHERE meeting_id = $1 AND track = $2", meeting, track, at
    )


async def see_node(connection: Connection, node: str, boot: str) -> bool:
    """Renew a node's lease; return True if its process differs from the one seen before."""
    previous = await connection.fetchval("SELECT boot FROM nodes WHERE node = $1 FOR UPDATE", node)
    await connection.insert(
        "nodes",
        then="ON CONFLICT (node) DO UPDATE SET boot = excluded.boot, last_seen_at = now()",
        node=node,
        boot=boot,
    )
    return previous is not None and previous != boot
