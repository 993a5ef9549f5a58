"""Retention: deletion of rows and recordings that are older than the configured number of days."""

import logging

from control.config import Retention
from control.database import Connection
from control.problem import Problem
from control.recordings.broadcasts import images_folder
from control.services import Services
from control.store import audit, documents, egresses, jobs, minutes, recordings, transcript

_log = logging.getLogger(__name__)


async def apply(services: Services) -> None:
    """Delete expired rows and recordings; a limit of None keeps them forever. Holds are noted beside their files."""
    limits = services.config.retention
    await services.media.forget_unfinished()
    async with services.pool.acquire() as connection:
        await _rows(connection, limits)
        images = await egresses.outlived_images(connection, limits.recordings_days)
        old = await recordings.outlived(connection, limits.recordings_days)
        held = await recordings.held(connection)
    for meeting, output in images:
        await services.archive.objects.remove_all(images_folder(meeting, output))
    for row in held:
        try:
            await services.archive.note_hold(row.id, row.hold or "host")
        except Problem as error:
            _log.warning("the hold on %s cannot be noted beside its files: %s", row.id, error.detail)
    for row in old:
        async with services.pool.acquire() as connection, connection.transaction():
            if not await recordings.delete(connection, row.id):
                continue
            await jobs.forget_about(connection, [row.id])
            await audit.write(connection, None, "retention_recording", row.id, "", meeting=row.meeting_id)
        await services.archive.remove(row.id)


async def _rows(connection: Connection, limits: Retention) -> None:
    if limits.chat_days is not None:
        await transcript.forget_chat(connection, limits.chat_days)
        await documents.forget(connection, limits.chat_days)
    if limits.captions_days is not None:
        await transcript.forget_captions(connection, limits.captions_days)
        await minutes.forget(connection, limits.captions_days)
    if limits.audit_days is not None:
        await audit.forget(connection, limits.audit_days)
