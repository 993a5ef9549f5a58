"""The recorder process: stays attached to the sfu, finishes recordings that have ended, and reports them."""

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from foundation.background import keep_running
from foundation.failures import describe
from objects.directory import DirectoryStore
from objects.opening import open_store
from objects.threads import Objects, threads
from recorder import metrics, recovery, upkeep
from recorder.adoption import Adoption
from recorder.attachment import Attachments
from recorder.broadcast.broadcasts import Broadcasts
from recorder.composing import Composer, work_of
from recorder.config import RecorderConfig
from recorder.finisher import Finisher
from recorder.following import Following
from recorder.journal import JournalHead
from recorder.leases import having_name
from recorder.recordings import SEALING, Recording, Recordings
from recorder.segment_file import ClosedSegment
from recorder.uploads import Uploads
from sfu.api.fact_reporter import FactReporter

_log = logging.getLogger(__name__)


async def run(config: RecorderConfig, ready: Callable[[], None]) -> None:
    """Record what the sfu offers until cancelled; call `ready` once unfinished recordings have been checked.

    Cancellation seals the open segments; the next start finishes the rest. Raises OSError if the recordings directory
    cannot be used, or another recorder with the same name uses it.
    """
    config.recordings_dir.mkdir(parents=True, exist_ok=True)
    with having_name(config.recordings_dir, config.instance), threads() as pool:
        await _run(config, pool, ready)


async def _run(config: RecorderConfig, pool: ThreadPoolExecutor, ready: Callable[[], None]) -> None:
    recordings = Recordings(config.recordings_dir, config.instance, config.operator_keys)
    facts = FactReporter(
        config.control_url, config.node_secret, config.instance, count=metrics.count_facts, tls=config.tls
    )
    uploads = Uploads(_objects(config, pool), recordings, facts)
    finisher = Finisher(config, recordings, facts, uploads)
    adoption = Adoption(config, uploads.objects, recordings, finisher)
    await adoption.look()
    unreported = await asyncio.to_thread(recordings.load)
    unfinished = recordings.unfinished()
    segments = [await asyncio.to_thread(_recent_segments, recording) for recording in unfinished]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_running("facts", facts.run))
        tasks.create_task(keep_running("uploads", uploads.run))
        tasks.create_task(keep_running("finishing", finisher.run))
        broadcasts = Broadcasts(config, uploads.objects or _on_disk(config, pool))
        tasks.create_task(keep_running("broadcasts", broadcasts.run))
        for path in (config.sink_socket, *config.other_sink_sockets):
            attachments = Attachments(
                config, recordings, finisher, facts, uploads, broadcasts=broadcasts, sink_socket=path
            )
            tasks.create_task(keep_running(f"attachment to {path.name}", attachments.run))
        tasks.create_task(keep_running("upkeep", functools.partial(upkeep.run, config, uploads)))
        following = Following(config, recordings, work_of(config)) if config.s3 is None else None
        if following is not None:
            tasks.create_task(keep_running("following", following.run))
        composer = Composer(config, uploads.objects, _on_disk(config, pool), following)
        tasks.create_task(keep_running("composing", composer.run))
        for manifest in unreported:
            tasks.create_task(keep_running("report", functools.partial(finisher.report, manifest)))
        for recording, recent in zip(unfinished, segments, strict=True):
            uploads.add_document(recording.info)
            for head, segment in recent:  # the process knew which of their reports had arrived
                uploads.add_segment(head, segment)
            if recording.state == SEALING:
                finisher.add(recording)
        tasks.create_task(keep_running("adoption", adoption.run))
        ready()


def _on_disk(config: RecorderConfig, pool: ThreadPoolExecutor) -> Objects:
    return Objects(DirectoryStore(config.recordings_dir), config.recordings_dir / ".spool", pool)


def _objects(config: RecorderConfig, pool: ThreadPoolExecutor) -> Objects | None:
    if config.s3 is None:
        return None
    store = open_store(config.s3, config.recordings_dir, "recordings/")
    return Objects(store, config.recordings_dir / ".spool", pool)


def _recent_segments(recording: Recording) -> list[tuple[JournalHead, ClosedSegment]]:
    try:
        return recovery.recent_segments(recording.directory, recording.files)
    except OSError as error:
        _log.error("recording %s: %s", recording.info.recording, describe(error))
        return []
