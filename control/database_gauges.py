"""Gauges read from the database in the background, so that a scrape of the metrics never waits for it."""

import asyncio
import time

from prometheus_client import Gauge

from control import database_outage
from control.database import UNAVAILABLE, Pool
from control.store.event_places import Places, Waiting

_READ_SECONDS = 5.0
_TROUBLE_SECONDS = 10.0
_BACKLOG = Gauge("parley_control_outbox_backlog", "Events not yet delivered to a bus, as of the last reading", ["bus"])
_OLDEST = Gauge(
    "parley_control_outbox_oldest_seconds",
    "Age of the oldest event not yet delivered to a bus, as of the last reading",
    ["bus"],
)
_AGE = Gauge("parley_control_database_gauges_age_seconds", "Time since control read these gauges from the database")


class DatabaseGauges:
    """Reader of the gauges. While the database is unreachable they keep their last values, and their age grows."""

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
                database_outage.note(None)
            except UNAVAILABLE as error:
                database_outage.note(error)
            await asyncio.sleep(_READ_SECONDS)

    def trouble_of_kafka(self) -> str | None:
        """Return why events do not reach Kafka, as last read; None if they do, or if none are waiting."""
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
    return f"{waiting.events} events wait: {reason or 'nothing is sending them'}"
