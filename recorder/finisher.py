"""Finishes recordings one at a time in a thread, and reports each.

A recording that fails waits for its next attempt without delaying the others.
"""

import asyncio
import functools
import logging
import threading
import time
from collections import deque

from foundation.background import keep_running
from foundation.failures import describe
from objects.sealed_file import files_of
from objects.store import NoAnswer, ObjectStore
from objects.threads import Objects
from recorder import layout, leases, metrics, signing, store_outage, stored
from recorder.config import RecorderConfig
from recorder.finishing import Stopped, finish
from recorder.manifest import Manifest, RecordingInfo
from recorder.recordings import Recording, Recordings
from recorder.segment_cache import SegmentCache
from recorder.uploads import Uploads
from sfu.api.fact_reporter import FactReporter
from sfu.api.facts import RecordingFinished

_log = logging.getLogger(__name__)

_FIRST_DELAY = 2.0
_MAX_DELAY = 300.0
_MAX_PROBLEMS = 20
_MAX_SENTENCE = 300


class Finisher:
    """Finishes recordings that have ended and are on disk: one at a time, because finishing must not starve capture."""

    def __init__(self, config: RecorderConfig, recordings: Recordings, facts: FactReporter, uploads: Uploads) -> None:
        self._config = config
        self._recordings = recordings
        self._facts = facts
        self._uploads = uploads
        self._queue: deque[Recording] = deque()
        self._some = asyncio.Event()
        self._turn = asyncio.Lock()

    def add(self, recording: Recording) -> None:
        """Queue a recording; the queue is bounded by the number of recordings on disk."""
        self._queue.append(recording)
        self._some.set()

    async def run(self) -> None:
        """Finish recordings until cancelled, which stops a running thread."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                while not self._queue:
                    self._some.clear()
                    await self._some.wait()
                tasks.create_task(keep_running("finishing", functools.partial(self._take, self._queue.popleft())))

    async def _take(self, recording: Recording) -> None:
        manifest = await self._finish(recording)
        if manifest is not None:
            self._recordings.finished(manifest.recording)
            await keep_running("report", functools.partial(self.report, manifest))

    async def report(self, manifest: Manifest) -> None:
        """Store a finished recording, report it, and note in its directory that control knows it."""
        await self._uploads.commit(manifest)
        directory = layout.recording_dir(self._config.recordings_dir, manifest.recording)
        delivered = self._facts.report(
            RecordingFinished(
                room=manifest.room,
                at=manifest.ended_unix_ms or time.time_ns() // 1_000_000,
                recording=manifest.recording,
                state=manifest.state,
                duration_ms=manifest.duration_ms,
                bytes=manifest.bytes,
                manifest=layout.key(self._config.recordings_dir, directory / layout.MANIFEST_NAME),
                problems=[problem[:_MAX_SENTENCE] for problem in manifest.problems[:_MAX_PROBLEMS]],
            )
        )
        if await delivered:
            await asyncio.to_thread((directory / layout.REPORTED_NAME).touch)
            await self._uploads.forget(manifest.recording)

    async def _finish(self, recording: Recording) -> Manifest | None:
        """Finish a recording, retrying any failure with back-off; None if it has begun again."""
        delay = _FIRST_DELAY
        await self._uploads.settled(recording.info.recording)
        while recording.info.state == "sealing":
            stop = threading.Event()
            begun = time.monotonic()
            try:
                async with self._turn:
                    manifest = await _threaded(self._config, recording, self._uploads.objects, stop)
            except Exception as error:
                if self._uploads.objects is None and not recording.directory.exists():
                    _log.warning("recording %s was deleted before it was finished", recording.info.recording)
                    self._recordings.finished(recording.info.recording)
                    return None
                if isinstance(error, NoAnswer):
                    store_outage.note(error)
                else:
                    _log.error(
                        "recording %s could not be finished; retrying: %s", recording.info.recording, describe(error)
                    )
                await asyncio.sleep(delay)
                delay = min(2 * delay, _MAX_DELAY)
                continue
            metrics.FINISH_SECONDS.observe(time.monotonic() - begun)
            _log.info(
                "recording %s of %s is %s: %d ms",
                manifest.recording, manifest.room, manifest.state, manifest.duration_ms,
            )  # fmt: skip
            return manifest
        return None


def _finish(
    config: RecorderConfig, info: RecordingInfo, problems: int, store: ObjectStore | None, stop: threading.Event
) -> Manifest:
    root = config.recordings_dir
    if store is not None:
        stored.fetch_journals(store, root, info.recording)
    directory = layout.recording_dir(root, info.recording)
    files = files_of(directory, config.operator_keys)
    with leases.finishing(directory), SegmentCache(root, store, files) as cache:
        sign = signing.load_or_create(config.signing_key or root / signing.DEFAULT_NAME).sign
        return finish(root, info, config.instance, problems, stop, cache=cache, sign=sign)


async def _threaded(
    config: RecorderConfig, recording: Recording, objects: Objects | None, stop: threading.Event
) -> Manifest:
    info, problems, store = recording.info, recording.problems, None if objects is None else objects.store
    work = asyncio.ensure_future(asyncio.to_thread(_finish, config, info, problems, store, stop))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        try:
            await work
        except Stopped:
            _log.info("recording %s will be finished by the next start", info.recording)
        raise
