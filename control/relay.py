"""The outbox relay: publishes events in order, at least once, from exactly one process.

A session advisory lock makes the one; the others wait for it. NOTIFY is only a hint, it polls every second anyway.
Events go in batches and are marked when they are safe: what is killed in between repeats them. A meeting whose event
cannot be published is left alone until the next round: its later events never overtake.
"""

import asyncio
import logging
from dataclasses import replace

import asyncpg
from prometheus_client import Counter

from control.bus import Bus
from control.database import UNAVAILABLE, connect, prepare
from control.store import outbox
from sfu.api import tracing

_LOG = logging.getLogger(__name__)
_LOCK = 0x6F7574626F78  # "outbox"
_BATCH = 500
_POLL_SECONDS = 1.0
_PUBLISHED = Counter("control_events_published_total", "Events published", ["topic"])
_FAILED = Counter("control_events_publish_failures_total", "Events that could not be published and are tried again")


async def run(dsn: str, bus: Bus) -> None:
    """Relay until cancelled; a lost database is waited for."""
    while True:
        try:
            await _relay_while_connected(dsn, bus)
        except UNAVAILABLE as error:
            _LOG.warning("the outbox waits for the database: %s", error)
            await asyncio.sleep(_POLL_SECONDS)


async def _relay_while_connected(dsn: str, bus: Bus) -> None:
    connection = await connect(dsn, timeout=10, server_settings={"application_name": "parley-relay"})
    hint = asyncio.Event()
    try:
        await prepare(connection)
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=None)
        await connection.add_listener("outbox", lambda *_: hint.set())
        while True:
            hint.clear()
            if not await publish_waiting(connection, bus):
                await _wait(hint)
    finally:
        # Not close(): that talks to a server which may be gone in the middle of a statement.
        connection.terminate()


async def publish_waiting(connection: "asyncpg.Connection[asyncpg.Record]", bus: Bus) -> bool:
    """Publish one batch; whether there may be more right away."""
    events = await outbox.unpublished(connection, _BATCH)
    safe = await _traced(events, bus)
    for event in events:
        if event.id in safe:
            _PUBLISHED.labels(event.topic).inc()
    if safe:
        await outbox.mark_published(connection, sorted(safe))
    if refused := len(events) - len(safe):
        _LOG.warning("%d events were not taken, and wait", refused)
        _FAILED.inc(refused)
    return len(events) == _BATCH and not refused


async def _traced(events: list[outbox.Event], bus: Bus) -> set[int]:
    """Publish, with a span around each event that is part of a trace, which goes on with it."""
    spans = {
        event.id: tracing.start("bus.publish", event.traceparent, topic=event.topic, kind=event.kind)
        for event in events
        if event.traceparent
    }
    sent = [
        replace(event, traceparent=spans[event.id].traceparent or event.traceparent) if event.id in spans else event
        for event in events
    ]
    safe = await bus.publish(sent)
    for event, span in spans.items():
        span.end("" if event in safe else "not taken")
    return safe


async def _wait(hint: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await hint.wait()
    except TimeoutError:
        return
