"""What time brings about: leases that lapse, recordings that nobody finishes, rows that are too old."""

import asyncio
import logging
from datetime import UTC, datetime

import msgspec

from control import breakouts, facts, recording_control, retention, uploads
from control.database import UNAVAILABLE, Connection
from control.services import Services
from control.store import (
    account_tokens,
    batches,
    event_places,
    idempotency,
    jobs,
    links,
    lobby,
    media,
    meetings,
    node_addresses,
    outbox,
    passkeys,
    recordings,
    rooms,
    sessions,
    signed_links,
    webhooks,
)
from sfu.api.failures import describe

_LOG = logging.getLogger(__name__)
_LEASE_SECONDS = 30.0
_TIDY_SECONDS = 3600.0


async def run(services: Services) -> None:
    """Reconcile until cancelled; a lost database is waited for."""
    leases = Leases()
    while True:
        now = asyncio.get_running_loop().time()
        try:
            await leases.check(services, now)
            await stop_abandoned(services)
            await breakouts.end_closed(services)
        except UNAVAILABLE as error:
            _LOG.warning("reconciling waits for the database: %s", describe(error))
        await asyncio.sleep(services.config.reconcile_seconds)


async def tidy(services: Services) -> None:
    """Delete what is too old, once an hour, until cancelled; a lost database is waited for."""
    while True:
        pause = _TIDY_SECONDS
        try:
            await _tidy(services)
        except UNAVAILABLE as error:
            _LOG.warning("tidying waits for the database: %s", describe(error))
            pause = services.config.reconcile_seconds
        await asyncio.sleep(pause)


class Leases:
    """Notices rooms that ended without a word: their node is gone, or it came back without them."""

    def __init__(self) -> None:
        self._silent_since: dict[str, float] = {}
        self._missing: set[str] = set()

    async def check(self, services: Services, now: float) -> None:
        """Ask every node for its rooms; close those missing twice in a row, or on a node silent for the lease."""
        missing: set[str] = set()
        services.nodes.unreachable &= set(services.nodes.names())
        for node in services.nodes.names():
            live = await services.nodes.live_rooms(node)
            async with services.pool.acquire() as connection:
                known = {room.meeting_id for room in await rooms.live_on(connection, node)}
            if live is None:
                since = self._silent_since.setdefault(node, now)
                services.nodes.unreachable.add(node)
                lost = known if now - since >= _LEASE_SECONDS else set()
            else:
                self._silent_since.pop(node, None)
                services.nodes.unreachable.discard(node)
                missing |= known - live
                lost = (known - live) & self._missing
            for meeting in sorted(lost):
                await _close(services, meeting)
        self._missing = missing


async def _close(services: Services, meeting: str) -> None:
    _LOG.warning("the room of %s is gone without a word: closing it", meeting)
    async with services.pool.acquire() as connection, connection.transaction():
        state = await facts.close_room(connection, meeting, datetime.now(UTC), "node_lost")
    if state is not None:
        services.nodes.push(state)


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
                await recording_control.settle_empty(connection, recording.meeting_id, recording.id)
            if state is not None:
                services.nodes.push(state)


async def _tidy(services: Services) -> None:
    async with services.pool.acquire() as connection:
        await batches.forget_old(connection)
        await node_addresses.forget_old(connection)
        await lobby.forget_old(connection)
        await sessions.forget_old(connection)
        await account_tokens.forget_old(connection)
        await passkeys.forget_old_challenges(connection)
        await event_places.forget_old(connection)
        await webhooks.forget_old(connection)
        await idempotency.forget_old(connection)
        await jobs.forget_old(connection)
        await links.forget_old(connection)
        await signed_links.forget_old(connection)
        await _sweep_results(services, connection)
    await uploads.collect(services)
    await retention.apply(services)


async def _sweep_results(services: Services, connection: Connection) -> None:
    """Forget results about files that are gone, which a store of their own may have kept."""
    try:
        known = await services.results.files()
        gone = set(known) - await media.existing(connection, known)
        await services.results.forget(sorted(gone))
    except OSError as error:
        _LOG.warning("results of deleted files are swept out later: %s", describe(error))
