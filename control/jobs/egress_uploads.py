"""Uploads of egresses' films to the buckets of applications."""

import logging
from typing import Any

import aiohttp
import msgspec
from prometheus_client import Counter

from control.database import Connection
from control.jobs.worker import Handler, Report
from control.services import Services
from control.store import egresses
from control.store.egresses import UPLOAD, EgressRow
from control.store.jobs import JobRow
from foundation import public_http
from objects.bucket_upload import UploadFailed, repeatedly, upload
from objects.buckets import Bucket

_log = logging.getLogger(__name__)
_UPLOADS = Counter("parley_control_egress_uploads_total", "Files of egresses that were uploaded, or not", ["outcome"])
PAUSES = (5.0, 30.0, 120.0)
"""Seconds between attempts."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=120)


def handlers(services: Services) -> dict[str, Handler]:
    """Return the handlers of an uploading worker."""

    async def run(job: JobRow, report: Report) -> Any:
        async with services.pool.acquire() as connection:
            row = await egresses.by_id(connection, job.subject)
        if row is None or not row.upload or row.made is None:
            return None
        try:
            location, error = await _attempts(services, row), ""
            _UPLOADS.labels("done").inc()
        except UploadFailed as failed:
            location, error = "", f"the file was not uploaded: {failed}"
            _log.warning("egress %s: %s", row.id, error)
            _UPLOADS.labels("failed").inc()
        async with services.pool.acquire() as connection, connection.transaction():
            await egresses.uploaded(connection, row.id, location, error)
        return None

    return {UPLOAD: run}


async def failed(connection: Connection, job: JobRow) -> None:
    """End the egress of an upload whose job failed, for example because each process that tried it died."""
    _UPLOADS.labels("failed").inc()
    await egresses.uploaded(connection, job.subject, "", f"the file was not uploaded: {job.error}")


async def _attempts(services: Services, row: EgressRow) -> str:
    """Upload the film and return its URL; raises UploadFailed after the last attempt."""
    try:
        bucket = msgspec.json.decode(services.broadcast_seal.open(row.id, row.upload), type=Bucket)
    except ValueError as error:
        raise UploadFailed("its credentials were stored under another key", again=False) from error
    return await repeatedly(lambda: _upload(services, row, bucket), PAUSES)


async def _upload(services: Services, row: EgressRow, bucket: Bucket) -> str:
    assert row.made is not None
    objects = services.archive.objects
    try:
        found = await objects.info(f"{row.recording_id}/{row.made['file']}")
    except FileNotFoundError as error:
        raise UploadFailed("the file was deleted", again=False) from error
    except OSError as error:
        raise UploadFailed("Parley's own store does not answer", again=True) from error
    content = objects.pieces(found.key, 0, found.size, found.tag)
    async with public_http.session(services.config.allow_private_broadcasts, _TIMEOUT) as session:
        return await upload(session, bucket, row.filepath, content, size=found.size)
