"""Uploads to buckets that others own, by a session that checks each address (foundation.public_http)."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
from yarl import URL

from foundation.addresses import ForbiddenAddress
from foundation.failures import describe
from objects.buckets import MOST_BYTES, Bucket, SignedPut, signed_put

_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_MOST_ANSWER = 4096
_TRANSIENT = frozenset({408, 425, 429})


class UploadFailed(Exception):
    """An object was not uploaded; `again` is true if another attempt can help. The text has no secrets."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


async def upload(
    session: aiohttp.ClientSession,
    bucket: Bucket,
    key: str,
    content: AsyncIterator[bytes] | bytes,
    *,
    size: int,
    media_type: str = "application/octet-stream",
) -> str:
    """Put an object of `size` bytes, and return its URL; raises UploadFailed."""
    if size > MOST_BYTES:
        raise UploadFailed(f"a file of more than {MOST_BYTES >> 20} MiB cannot be uploaded", again=False)
    put = await _signed(bucket, key)
    headers = put.headers | {"Content-Length": str(size), "Content-Type": media_type}
    try:
        url = URL(put.url, encoded=True)
        async with session.put(url, data=content, headers=headers, allow_redirects=False) as answer:
            if answer.status in {200, 201}:
                return put.location
            said = _CODE.search(await answer.content.read(_MOST_ANSWER))
    except aiohttp.ClientConnectorError as error:
        is_forbidden = isinstance(error.os_error, ForbiddenAddress)
        detail = f"no connection to the store: {describe(error.os_error)}"
        raise UploadFailed(detail, again=not is_forbidden) from error
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise UploadFailed(f"the connection to the store failed: {type(error).__name__}", again=True) from error
    reason = f"the store answered {answer.status}" + (f" {said[1].decode()}" if said else "")
    raise UploadFailed(reason, again=answer.status >= 500 or answer.status in _TRANSIENT)


async def _signed(bucket: Bucket, key: str) -> SignedPut:
    """Sign in a thread, since some libraries take a second to load."""
    try:
        return await asyncio.to_thread(signed_put, bucket, key)
    except ValueError as error:
        raise UploadFailed(f"the bucket or the path is invalid: {error}", again=False) from error
    except ImportError as error:
        raise UploadFailed("the library of this kind of store is not installed", again=False) from error


async def repeatedly(attempt: Callable[[], Awaitable[str]], pauses: Sequence[float]) -> str:
    """Return the result of `attempt()`, which is made again after each pause (s); raises the last UploadFailed."""
    for pause in pauses:
        try:
            return await attempt()
        except UploadFailed as failed:
            if not failed.again:
                raise
        await asyncio.sleep(pause)
    return await attempt()
