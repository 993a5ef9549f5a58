"""Figures of the database that metrics show, read in the background: whoever asks for metrics waits for no store."""

import asyncio
import time

from prometheus_client import Gauge

from control.database import UNAVAILABLE, Pool
from control.store.event_places import Places, Waiting

_READ_SECONDS = 5.0
_TROUBLE_SECONDS = 10.0
_BACKLOG = Gauge("control_outbox_backlog", "Events that a bus does not have yet, as of the last reading", ["bus"])
_OLDEST = Gauge("control_outbox_oldest_seconds", "Age of the oldest of them", ["bus"])
_AGE = Gauge("control_database_gauges_age_seconds", "Time since control read these gauges from the database")


class DatabaseGauges:
    """Reads them. While the database is away they stay, and grow old."""

    def __init__(self, pool: Pool, places: Places) -> None:
        self._pool = pool
        self._places = places
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        read_at = time.monotonic()
        _AGE.set_function(lambda: time.monotonic() - read_at)
        while True:
            try:
                await self._read()
                read_at = time.monotonic()
            except UNAVAILABLE:
                pass  # its age tells
            await asyncio.sleep(_READ_SECONDS)

    async def trouble_of_kafka(self) -> str | None:
        """Return why events do not reach Kafka, as last read; None when they do, or nothing is to be sent there."""
        return self._trouble.get("kafka")

    async def _read(self) -> None:
        async with self._pool.acquire() as connection:
            found = [
                (place, await place.waiting(connection), await place.reason(connection)) for place in self._places.all()
            ]
        self._trouble = {place.name: _trouble(waiting, reason) for place, waiting, reason in found if _is_late(waiting)}
        for place, waiting, _ in found:
            _BACKLOG.labels(place.name).set(waiting.events)
            _OLDEST.labels(place.name).set(waiting.oldest_seconds)


def _is_late(waiting: Waiting) -> bool:
    return waiting.oldest_seconds > _TROUBLE_SECONDS


def _trouble(waiting: Waiting, reason: str | None) -> str:
    return f"{waiting.events} events wait: {reason or 'nobody sends them'}"
