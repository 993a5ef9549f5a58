"""What time brings about: leases that lapse, recordings that nobody finishes, rows that are too old."""

import asyncio
import logging

import asyncpg
import msgspec

from control.services import Services
from control.store import (
    batches,
    idempotency,
    lobby,
    meetings,
    outbox,
    recordings,
    rooms,
    sessions,
    webhooks,
)

_LOG = logging.getLogger(__name__)
_EVERY_SECONDS = 5.0
_TIDY_ROUNDS = 720


async def run(services: Services) -> None:
    """Reconcile until cancelled; a lost database is waited for."""
    rounds = 0
    while True:
        try:
            await stop_abandoned(services)
            if rounds % _TIDY_ROUNDS == 0:
                await _tidy(services)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            _LOG.warning("reconciling waits for the database: %s", error)
        rounds += 1
        await asyncio.sleep(_EVERY_SECONDS)


async def stop_abandoned(services: Services) -> None:
    """Stop recordings whose room has not been live for a minute, and give up those that nobody finishes."""
    async with services.pool.acquire() as connection:
        for recording in await recordings.abandoned(connection):
            async with connection.transaction():
                await meetings.lock(connection, recording.meeting_id)
                await recordings.give_up(connection, recording.id)
                state = await rooms.edit_state(
                    connection,
                    recording.meeting_id,
                    lambda before: msgspec.structs.replace(before, recording=None),
                )
                payload = {"meeting": recording.meeting_id, "recording": recording.id}
                await outbox.append(connection, outbox.MEDIA_EVENTS, recording.meeting_id, "recording.stopped", payload)
            if state is not None:
                services.nodes.push(state)


async def _tidy(services: Services) -> None:
    async with services.pool.acquire() as connection:
        await batches.forget_old(connection)
        await lobby.forget_old(connection)
        await sessions.forget_old(connection)
        await outbox.forget_old(connection)
        await webhooks.forget_old(connection)
        await idempotency.forget_old(connection)
