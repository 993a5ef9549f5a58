"""Reservations of uploads: taken from the account's quota before the first byte arrives, and always released.

A file is marked as loose before its first byte is stored, until a row refers to it (store.loose_files). If the process
dies in between, the leftovers are found and deleted.
"""

import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from control.files.media_store import unavailable
from control.problem import Problem
from control.services import Services
from control.store import loose_files, media
from foundation.failures import describe

_log = logging.getLogger(__name__)
_RENEW_SECONDS = 300.0
_ABANDONED_SECONDS = 86400.0


class Room:
    """Reservation of one upload: `size` bytes, and the Problem raised if the file has `exceeded` them."""

    def __init__(self, services: Services, file: str, size: int, exceeded: Problem) -> None:
        self.size = size
        self.exceeded = exceeded
        self._services = services
        self._file = file

    async def renewed(self, content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Yield the content, renewing the reservation meanwhile."""
        renew_at = time.monotonic() + _RENEW_SECONDS
        async for data in content:
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + _RENEW_SECONDS
                async with self._services.pool.acquire() as connection:
                    await loose_files.renew(connection, self._file)
            yield data


@asynccontextmanager
async def room(services: Services, file: str, owner: str, size: int | None) -> AsyncIterator[Room]:
    """Reserve space for a file of `size` bytes; if unknown, the largest allowed size.

    Raises Problem 413 if the quota is too small. The file is deleted at the end unless `keep` was called.
    """
    largest, quota = services.config.max_upload_bytes, services.config.quota_bytes
    too_large = Problem(413, "too_large", f"The file must not exceed {largest} bytes.")
    no_room = Problem(413, "quota", "Your storage quota is used up. Delete some files first.")
    if size is not None and size > largest:
        raise too_large
    async with services.pool.acquire() as connection, connection.transaction():
        left = quota - await media.used_by(connection, owner)
        reserved = min(largest, left) if size is None else size
        if left <= 0 or reserved > left:
            raise no_room
        await loose_files.reserve(connection, file, owner, reserved)
    try:
        yield Room(services, file, reserved, too_large if reserved == largest else no_room)
    except BaseException:
        await delete(services, [file])
        raise


async def keep(services: Services, row: media.MediaRow) -> None:
    """Store the row of an uploaded file, which replaces its reservation."""
    async with services.pool.acquire() as connection, connection.transaction():
        if not await loose_files.keep(connection, row.id):
            raise unavailable()
        await media.add(connection, row)


async def delete(services: Services, files: Sequence[str]) -> None:
    """Delete loose files; deletions that the store refuses are retried later."""
    done = []
    for file in files:
        try:
            await services.media.remove(file)
            done.append(file)
        except OSError as error:
            _log.warning("cannot delete %s; retrying later: %s", file, error)
    async with services.pool.acquire() as connection:
        await loose_files.settle(connection, done)


async def collect(services: Services) -> None:
    """Delete the leftovers of interrupted uploads and deletions."""
    async with services.pool.acquire() as connection:
        lapsed = await loose_files.claim_lapsed(connection)
    if lapsed:
        _log.info("deleting %d files of interrupted uploads or deletions", len(lapsed))
        await delete(services, lapsed)


async def abandon(services: Services) -> None:
    """Abort multipart uploads to this bucket that a crash or an outage cut off: they take up space unseen."""
    for objects in (services.media.objects, services.archive.objects):
        try:
            count = await objects.abandon(_ABANDONED_SECONDS)
        except OSError as error:
            _log.info("cannot abort unfinished uploads in the object store: %s", describe(error))
            continue
        if count:
            _log.info("aborted %d unfinished uploads in the object store", count)
