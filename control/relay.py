"""The outbox relay: publishes events in order, at least once, from exactly one process.

A session advisory lock makes the one; the others wait for it. NOTIFY is only a hint, it polls every second anyway. A
meeting whose event cannot be published is left alone until the next round: its later events never overtake.
"""

import asyncio
import logging
from contextlib import AbstractContextManager, nullcontext

import asyncpg
from prometheus_client import Counter

from control.bus import Bus
from control.database import UNAVAILABLE, prepare
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
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "parley-relay"})
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
    published: list[int] = []
    stopped: set[str] = set()
    for event in events:
        if event.key in stopped:
            continue
        try:
            with _traced(event):
                await bus.publish(event)
        except OSError as error:
            _LOG.warning("event %d of %s was not taken: %s", event.id, event.key, error)
            _FAILED.inc()
            stopped.add(event.key)
            continue
        _PUBLISHED.labels(event.topic).inc()
        published.append(event.id)
    if published:
        await outbox.mark_published(connection, published)
    return len(events) == _BATCH and not stopped


def _traced(event: outbox.Event) -> AbstractContextManager[object]:
    """A span around what goes on with a trace that an event is part of."""
    if not event.traceparent:
        return nullcontext()
    return tracing.span("bus.publish", event.traceparent, topic=event.topic, kind=event.kind)


async def _wait(hint: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await hint.wait()
    except TimeoutError:
        return
