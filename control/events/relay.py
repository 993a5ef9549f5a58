"""Outbox relay: offers events to one bus in order, at least once, from exactly one process.

Each bus has its own relay and its own place in the outbox, so no bus waits for another. A session advisory lock selects
the process; the others wait for the lock. NOTIFY is only a hint: the relay polls every second anyway. Events are
offered in batches and marked once they are safe; a relay that is killed in between offers them again. A refused event
is held back for a while, together with those behind it under the same key, so later events never overtake it; other
keys continue. While the bus accepts nothing, the relay backs off.
"""

import asyncio
import logging
from dataclasses import replace

from prometheus_client import Counter

from control import database_outage
from control.database import UNAVAILABLE, Connection, sole_session
from control.events.bus import Bus, BusAway, Progress
from control.store.event_places import Held, Place
from control.store.outbox import Event
from foundation import tracing
from foundation.backoff import Backoff
from foundation.failures import describe
from foundation.outages import Outages

_log = logging.getLogger(__name__)
_BATCH = 500
_POLL_SECONDS = 1.0
_LONGEST_PAUSE = 30.0
_PUBLISHED = Counter("parley_control_events_published_total", "Events delivered to a bus", ["bus", "topic"])
_FAILED = Counter(
    "parley_control_events_publish_failures_total", "Events that a bus refused and that will be retried", ["bus"]
)
_DEAD = Counter(
    "parley_control_events_dead_total", "Events that a bus will never accept, kept as dead letters", ["bus"]
)


async def run(dsn: str, place: Place, bus: Bus) -> None:
    """Relay until cancelled. While the database is unreachable, wait for it."""
    await _Relay(place, bus).run(dsn)


class _Relay:
    def __init__(self, place: Place, bus: Bus) -> None:
        self._place = place
        self._bus = bus
        self._outages = Outages(f"events are waiting for {place.name}")
        self._backoff = Backoff(_LONGEST_PAUSE, first=_POLL_SECONDS)

    async def run(self, dsn: str) -> None:
        while True:
            try:
                await self._while_connected(dsn)
            except UNAVAILABLE as error:
                database_outage.note(error)
                await asyncio.sleep(_POLL_SECONDS)

    async def _while_connected(self, dsn: str) -> None:
        hint = asyncio.Event()
        async with sole_session(dsn, self._place.lock, "parley-relay") as connection:
            await connection.add_listener("outbox", lambda *_: hint.set())
            while True:
                hint.clear()
                if not await self._round(connection):
                    await _wait(hint)

    async def _round(self, connection: Connection) -> bool:
        """Offer one batch, or wait while the bus is away; return whether there may be more at once."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        events = await self._place.next(connection, _BATCH)
        looked = loop.time() - begun
        try:
            more = await _offer(connection, self._place, self._bus, events)
        except BusAway as away:
            _say(self._outages.note(away, loop.time()))
            await self._place.blame(connection, describe(away))
            await asyncio.sleep(self._backoff.pause())
            return True
        self._backoff.reset()
        _say(self._outages.note(await self._place.reason(connection), loop.time()))
        # The more events are held back, the longer it takes to find events to offer. At most a fifth of the time may go
        # to it.
        await asyncio.sleep(0 if more else min(4 * looked, _POLL_SECONDS))
        return more


async def _offer(connection: Connection, place: Place, bus: Bus, events: list[Event]) -> bool:
    """Offer events and store the outcomes; raises BusAway for any error of the bus."""
    try:
        progress = await _traced(events, bus)
    except BusAway:
        raise
    except Exception as error:
        _log.error("the bus %s failed with a bug", place.name, exc_info=error)
        raise BusAway(describe(error)) from error
    if progress.safe:
        for topic in await place.pass_by(connection, sorted(progress.safe)):
            _PUBLISHED.labels(place.name, topic).inc()
    if progress.refused:
        await place.hold(connection, _held(place, events, progress))
    return len(events) == _BATCH and bool(progress.safe or progress.refused)


def _held(place: Place, events: list[Event], progress: Progress) -> list[Held]:
    """Return the time in seconds to hold back refused events, which grows with the number of refusals."""
    attempts = {event.id: event.attempts for event in events}
    held = []
    for event, refusal in progress.refused.items():
        if refusal.dead:
            _log.warning("event %d is a dead letter of %s: %s", event, place.name, refusal.reason)
            _DEAD.labels(place.name).inc()
            held.append(Held(event, refusal.reason, None))
        elif refusal.under_way:
            held.append(Held(event, refusal.reason, _POLL_SECONDS, counts=False))
        else:
            _FAILED.labels(place.name).inc()
            pause = min(_POLL_SECONDS * 2.0 ** min(attempts.get(event, 0), 10), _LONGEST_PAUSE)
            held.append(Held(event, refusal.reason, pause))
    return held


async def _traced(events: list[Event], bus: Bus) -> Progress:
    """Publish, with a span around each event that belongs to a trace."""
    spans = {
        event.id: tracing.start(
            "bus.publish",
            event.traceparent,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "send",
                "messaging.destination.name": event.topic,
                "kind": event.kind,
            },
            kind="producer",
        )
        for event in events
        if event.traceparent
    }
    sent = [
        replace(event, traceparent=spans[event.id].traceparent or event.traceparent) if event.id in spans else event
        for event in events
    ]
    progress = Progress()
    try:
        progress = await bus.publish(sent)
    finally:
        for event, span in spans.items():
            span.end("" if event in progress.safe else "not accepted")
    return progress


def _say(line: str | None) -> None:
    if line is not None:
        _log.warning("%s", line)


async def _wait(hint: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await hint.wait()
    except TimeoutError:
        return
