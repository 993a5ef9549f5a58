"""Minutes of meetings, written by a language model, or the reason why there are none."""

from dataclasses import dataclass
from typing import Literal

from control.database import Connection
from control.store.recordings import HELD_MEETINGS

State = Literal["none", "writing", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class MinutesRow:
    meeting_id: str
    state: State
    lines: int
    text: str | None
    model: str | None
    error: str | None


async def of(connection: Connection, meeting: str) -> MinutesRow | None:
    return await connection.one(MinutesRow, "SELECT * FROM meeting_minutes WHERE meeting_id = $1", meeting)


async def begin(connection: Connection, meeting: str, state: State, lines: int) -> bool:
    """Record that a meeting's transcript is complete; return False if that was recorded before."""
    return await connection.insert(
        "meeting_minutes", then="ON CONFLICT (meeting_id) DO NOTHING", meeting_id=meeting, state=state, lines=lines
    )


async def settle(
    connection: Connection,
    meeting: str,
    state: State,
    *,
    text: str | None = None,
    model: str | None = None,
    error: str | None = None,
) -> None:
    await connection.execute(
        "UPDATE meeting_minutes SET state = $2, text = $3, model = $4, error = $5, made_at = now()"
        " WHERE meeting_id = $1",
        meeting,
        state,
        text,
        model,
        error,
    )


async def forget(connection: Connection, days: int) -> None:
    await connection.execute(
        "DELETE FROM meeting_minutes WHERE made_at < now() - make_interval(days => $1)"  # noqa: S608  constants
        f" AND meeting_id NOT IN {HELD_MEETINGS}",
        days,
    )
