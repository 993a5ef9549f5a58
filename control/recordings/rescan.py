"""Recovery of recordings: their database rows, and lost tables, are restored from the files in the store.

A second run changes nothing.
"""

from collections.abc import Callable, Iterable

from control.database import session
from control.migrations.rebuilding import rebuild
from control.store import recordings
from control.store.recordings import Found


async def take(dsn: str, found: Iterable[Found], report: Callable[[Found, bool], None]) -> None:
    """Write each recording's rows.

    `report` gets whether its meeting is known; otherwise, the recording cannot be listed.
    """
    async with session(dsn) as connection:
        await rebuild(connection, recordings.TABLES)
        for one in found:
            async with connection.transaction():
                report(one, await recordings.restore(connection, one))
