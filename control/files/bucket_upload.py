"""Uploads of files to buckets of S3 and its like that others own, with their credentials.

The `minio` package signs the request; a session that checks each address sends it (foundation.public_http).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from foundation.addresses import ForbiddenAddress
from foundation.failures import describe

MOST_BYTES = 5 * 1024**3
"""The largest object that S3 takes in one request."""
_DEFAULT_REGION = "us-east-1"
_VALID = timedelta(hours=6)
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_MOST_ANSWER = 4096
_TRANSIENT = frozenset({408, 425, 429})


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket, and credentials for it. Without an `endpoint`, it is one of Amazon's `region`."""

    bucket: str
    access_key: str
    secret: str
    session_token: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False
    disposition: str = ""

    def __repr__(self) -> str:
        return f"Bucket({self.bucket!r})"


class UploadFailed(Exception):
    """A file was not uploaded; `again` is true if another attempt can help. The text has no secrets."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


def address_of(bucket: Bucket) -> str:
    """Return the URL of a bucket's store."""
    if bucket.endpoint:
        return bucket.endpoint if "://" in bucket.endpoint else f"https://{bucket.endpoint}"
    return "https://s3.amazonaws.com"


def signed_url(bucket: Bucket, key: str) -> str:
    """Return the URL to which an object is put, a secret until it expires. Raises ValueError for invalid names."""
    from minio import Minio  # noqa: PLC0415  it takes a while to load, and few servers fill buckets

    parts = urlsplit(address_of(bucket))
    client = Minio(
        parts.netloc,
        access_key=bucket.access_key,
        secret_key=bucket.secret,
        session_token=bucket.session_token or None,
        secure=parts.scheme == "https",
        region=bucket.region or _DEFAULT_REGION,  # a given region is not asked for over the network
    )
    if bucket.path_style:
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client.presigned_put_object(bucket.bucket, key, _VALID)


def location_of(bucket: Bucket, key: str) -> str:
    """Return the URL of an uploaded object."""
    return f"{address_of(bucket).rstrip('/')}/{bucket.bucket}/{quote(key)}"


async def upload(
    session: aiohttp.ClientSession, bucket: Bucket, key: str, size: int, content: AsyncIterator[bytes]
) -> None:
    """Put an object; raises UploadFailed."""
    if size > MOST_BYTES:
        raise UploadFailed("a file of more than 5 GiB cannot be uploaded", again=False)
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    if bucket.disposition:
        headers["Content-Disposition"] = bucket.disposition
    try:
        url = URL(signed_url(bucket, key), encoded=True)
        async with session.put(url, data=content, headers=headers, allow_redirects=False) as answer:
            if answer.status == 200:
                return
            said = _CODE.search(await answer.content.read(_MOST_ANSWER))
    except ValueError as error:
        raise UploadFailed(f"the bucket or the path is invalid: {error}", again=False) from error
    except aiohttp.ClientConnectorError as error:
        is_forbidden = isinstance(error.os_error, ForbiddenAddress)
        detail = f"no connection to the store: {describe(error.os_error)}"
        raise UploadFailed(detail, again=not is_forbidden) from error
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise UploadFailed(f"the connection to the store failed: {type(error).__name__}", again=True) from error
    reason = f"the store answered {answer.status}" + (f" {said[1].decode()}" if said else "")
    raise UploadFailed(reason, again=answer.status >= 500 or answer.status in _TRANSIENT)
