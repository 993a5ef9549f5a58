"""Recurring maintenance: expired leases, abandoned recordings, expired rows."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from control import facts, retention, uploads
from control.database import Connection
from control.meetings import breakouts
from control.recordings import broadcasts as live
from control.recordings import lifecycle
from control.recurring import every, for_each
from control.runtime_settings import LOOK_SECONDS
from control.services import Services
from control.store import (
    account_tokens,
    batches,
    broadcasts,
    egresses,
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
    usage,
    webhooks,
)
from control.store.recordings import RecordingRow
from foundation.failures import describe

_log = logging.getLogger(__name__)
_LEASE_SECONDS = 30.0
_TIDY_SECONDS = 3600.0
_FORGETFUL = (
    batches.forget_old,
    node_addresses.forget_old,
    lobby.forget_old,
    sessions.forget_old,
    account_tokens.forget_old,
    passkeys.forget_old_challenges,
    event_places.forget_old,
    webhooks.forget_old,
    idempotency.forget_old,
    jobs.forget_old,
    links.forget_old,
    signed_links.forget_old,
    usage.forget_old,
)
"""Expiry of old rows, by table."""


def works(services: Services) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the recurring tasks, by name; each runs separately, so that one failure does not delay the others."""
    leases = Leases()
    often = services.config.reconcile_seconds
    steps: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
        "leases of rooms": (often, lambda: leases.check(services, asyncio.get_running_loop().time())),
        "abandoned recordings": (often, functools.partial(stop_abandoned, services)),
        "abandoned broadcasts": (often, functools.partial(_end_broadcasts, services)),
        "breakout rooms": (often, functools.partial(breakouts.close_due, services)),
        "live settings": (LOOK_SECONDS, functools.partial(services.runtime.look, services.pool)),
        "tidying": (_TIDY_SECONDS, functools.partial(_tidy, services)),
    }
    return {name: functools.partial(every, seconds, step) for name, (seconds, step) in steps.items()}


class Leases:
    """Detector of rooms that ended without a report because their node was lost or restarted."""

    def __init__(self) -> None:
        self._silent_since: dict[str, float] = {}
        self._missing: set[str] = set()

    async def check(self, services: Services, now: float) -> None:
        """Ask every node for its rooms; close rooms that are missing twice, or whose node was silent for a lease."""
        missing: set[str] = set()
        services.nodes.unreachable &= set(services.nodes.names())
        for node in services.nodes.names():
            live = await services.nodes.live_rooms(node)
            async with services.pool.acquire() as connection:
                known = {room.meeting_id for room in await rooms.live_on(connection, node)}
            if live is None:
                since = self._silent_since.setdefault(node, now)
                lost = known if now - since >= _LEASE_SECONDS else set()
            else:
                self._silent_since.pop(node, None)
                missing |= known - live
                lost = (known - live) & self._missing
            await for_each("leases of rooms", sorted(lost), functools.partial(_close, services))
        self._missing = missing


async def _close(services: Services, meeting: str) -> None:
    _log.warning("room %s ended without a report; closing it", meeting)
    async with services.pool.acquire() as connection, connection.transaction():
        state = await facts.close_room(connection, meeting, datetime.now(UTC), "node_lost")
    services.nodes.push(state)


async def stop_abandoned(services: Services) -> None:
    """Stop recordings whose room has not been live for a minute, and abandon those that no recorder finishes."""
    async with services.pool.acquire() as connection:
        found = await recordings.abandoned(connection)
    await for_each("abandoned recordings", found, functools.partial(_stop, services))


async def _end_broadcasts(services: Services) -> None:
    """End broadcasts of meetings that everyone has left."""
    async with services.pool.acquire() as connection:
        found = await broadcasts.abandoned(connection)
    await for_each("abandoned broadcasts", found, functools.partial(live.stop_abandoned, services))


async def _stop(services: Services, recording: RecordingRow) -> None:
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, recording.meeting_id)
        await recordings.give_up(connection, recording.id)
        state = await rooms.edit_state(
            connection,
            recording.meeting_id,
            lambda before: msgspec.structs.replace(before, recording=None),
        )
        payload = {"meeting": recording.meeting_id, "recording": recording.id}
        await outbox.append(connection, outbox.MEDIA_EVENTS, recording.meeting_id, "recording.stopped", payload)
        await lifecycle.settle_empty(connection, recording.meeting_id, recording.id)
        await egresses.given_up(connection, recording.id)
    services.nodes.push(state)


async def _tidy(services: Services) -> None:
    async with services.pool.acquire() as connection:

        async def forget(step: Callable[[Connection], Awaitable[None]]) -> None:
            await step(connection)

        await for_each("tidying", _FORGETFUL, forget)
        await usage.measure_storage(connection)
        await _sweep_results(services, connection)
    await for_each("tidying", (uploads.collect, uploads.abandon, retention.apply), lambda step: step(services))


async def _sweep_results(services: Services, connection: Connection) -> None:
    """Delete results of deleted files that a separate store may still have."""
    try:
        known = await services.results.files()
        gone = set(known) - await media.existing(connection, known)
        await services.results.forget(sorted(gone))
    except OSError as error:
        _log.warning("cannot delete results of deleted files; retrying later: %s", describe(error))
