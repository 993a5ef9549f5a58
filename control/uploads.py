"""Room for uploads: taken from the account's quota before the first byte comes, and given back whatever happens.

A file is noted as loose before anything of it is stored, and until a row refers to it (store.loose_files): what a
process leaves behind that dies in between is found and deleted.
"""

import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from control.http.problem import Problem
from control.media_store import unavailable
from control.services import Services
from control.store import loose_files, media

_LOG = logging.getLogger(__name__)
_RENEW_SECONDS = 300.0


class Room:
    """What one upload may take: `size` bytes, `exceeded` beyond them."""

    def __init__(self, services: Services, file: str, size: int, exceeded: Problem) -> None:
        self.size = size
        self.exceeded = exceeded
        self._services = services
        self._file = file

    async def renewed(self, content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Yield what comes, and hold the room meanwhile."""
        renew_at = time.monotonic() + _RENEW_SECONDS
        async for data in content:
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + _RENEW_SECONDS
                async with self._services.pool.acquire() as connection:
                    await loose_files.renew(connection, self._file)
            yield data


@asynccontextmanager
async def room(services: Services, file: str, owner: str, size: int | None) -> AsyncIterator[Room]:
    """Reserve room for a file of `size` bytes; of an unknown size, as much as one may have.

    Raises Problem 413 when there is not so much. Unless `keep` was called the file is deleted at the end.
    """
    largest, quota = services.config.max_upload_bytes, services.config.quota_bytes
    too_large = Problem(413, "too_large", f"The file must not exceed {largest} bytes.")
    no_room = Problem(413, "quota", "Your files take all the room that you have; delete some first.")
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
    """Store the row of an uploaded file, which takes the place of its reservation."""
    async with services.pool.acquire() as connection, connection.transaction():
        if not await loose_files.keep(connection, row.id):
            raise unavailable()
        await media.add(connection, row)


async def delete(services: Services, files: Sequence[str]) -> None:
    """Delete files that are loose; those that the store does not let go of are tried again later."""
    done = []
    for file in files:
        try:
            await services.media.remove(file)
            done.append(file)
        except OSError as error:
            _LOG.warning("%s is deleted later: %s", file, error)
    async with services.pool.acquire() as connection:
        await loose_files.settle(connection, done)


async def collect(services: Services) -> None:
    """Delete what uploads and deletions that broke off have left."""
    async with services.pool.acquire() as connection:
        lapsed = await loose_files.claim_lapsed(connection)
    if lapsed:
        _LOG.info("deleting %d files that broken uploads or deletions left", len(lapsed))
        await delete(services, lapsed)
