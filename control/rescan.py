"""Recovery of recordings: restores database rows, and lost tables, from the files in the store.

A second run changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from control.database import prepare
from control.migrations.rebuilding import rebuild
from control.store import recordings
from control.store.recordings import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    key: str
    track: str
    participant: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A recording as described by its files. `film` is the composed file's name and size."""

    recording: str
    meeting: str
    state: State
    started_unix_ms: int
    ended_unix_ms: int
    duration_ms: int | None
    bytes: int | None
    segments: tuple[Segment, ...]
    film: tuple[str, int] | None
    problems: tuple[str, ...] = ()

    @property
    def started_at(self) -> datetime:
        return _time(self.started_unix_ms)

    @property
    def stopped_at(self) -> datetime | None:
        return _time(self.ended_unix_ms) if self.ended_unix_ms else None

    def composed(self) -> dict[str, Any] | None:
        """Return the row's record of the film. Its hash is unknown without reading the file."""
        if self.film is None:
            return None
        return {"file": self.film[0], "bytes": self.film[1], "sha256": "", "duration_ms": self.duration_ms}


async def take(dsn: str, found: Iterable[Found], report: Callable[[Found, bool], None]) -> None:
    """Write each recording's rows; `report` is told whether its meeting is known, without which it cannot be listed."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await prepare(connection)
        await rebuild(connection, recordings.TABLES)
        for one in found:
            async with connection.transaction():
                report(one, await recordings.restore(connection, one))
    finally:
        await connection.close()


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
