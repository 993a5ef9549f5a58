"""Ending a meeting: rows, desired state and event in one transaction."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from control.database import Connection
from control.problem import Problem
from control.store import breakouts, broadcasts, egresses, jobs, meetings, outbox, recordings, rooms
from sfu.api.desired_state import DesiredState


def ended() -> Problem:
    return Problem(410, "meeting_ended", "This meeting has ended.")


async def end_in_transaction(connection: Connection, meeting: str) -> list[DesiredState | None]:
    """End a meeting with its breakout rooms, once; return the states to push.

    Whoever is in a breakout room that ends alone returns to the main room; with the meeting, it ends for everyone.
    """
    await breakouts.lock(connection, meeting)
    changed = [await _end(connection, meeting)]
    for room in await breakouts.of_meeting(connection, meeting):
        changed.append(await _end(connection, room.id, returns_to=None))
    return changed


async def _end(connection: Connection, meeting: str, **changes: Any) -> DesiredState | None:
    row = await meetings.by_id(connection, meeting)
    if row is None or row.status == "ended":
        return None
    await meetings.mark_ended(connection, meeting)
    await recordings.seal(connection, meeting, datetime.now(UTC))
    live = await broadcasts.end(connection, meeting)
    if live is not None:
        await egresses.broadcast_over(connection, live.id)
    state = await rooms.edit_state(
        connection,
        meeting,
        lambda before: msgspec.structs.replace(before, ended=True, recording=None, broadcast=None, **changes),
    )
    await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "meeting.ended", {"meeting": meeting})
    await jobs.queue_anew(connection, "minutes", meeting, {})
    return state
