"""Figures of the database that metrics show, read in the background: whoever asks for metrics waits for no store."""

import asyncio
import time

from prometheus_client import Gauge

from control.database import UNAVAILABLE, Pool
from control.store import outbox

_READ_SECONDS = 5.0
_BACKLOG = Gauge("control_outbox_backlog", "Events that are not published yet, as of the last reading")
_AGE = Gauge("control_database_gauges_age_seconds", "Time since control read these gauges from the database")


async def run(pool: Pool) -> None:
    """Read them until cancelled; while the database is away they stay, and grow old."""
    read_at = time.monotonic()
    _AGE.set_function(lambda: time.monotonic() - read_at)
    while True:
        try:
            async with pool.acquire() as connection:
                _BACKLOG.set(await outbox.backlog(connection))
            read_at = time.monotonic()
        except UNAVAILABLE:
            pass  # its age tells
        await asyncio.sleep(_READ_SECONDS)
