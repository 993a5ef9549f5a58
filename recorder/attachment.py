"""Permanent attachment to an sfu: reads records, runs timers, makes captured media durable, and reports progress."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from recorder import metrics
from recorder.broadcast.broadcasts import Broadcasts
from recorder.capture import Capture
from recorder.config import RecorderConfig
from recorder.durability import Durability, Synced
from recorder.finisher import Finisher
from recorder.recordings import Recordings
from recorder.uploads import Uploads
from sfu.api.fact_reporter import FactReporter
from sfu.api.facts import RecordingStarted
from sfu.api.sink_client import SinkSocket, stay_attached
from sfu.api.sink_records import (
    VERSION,
    BroadcastEnded,
    BroadcastStarted,
    RecorderState,
    RecordingKept,
    SinkHello,
    decode,
)

_log = logging.getLogger(__name__)

_TICK = 0.1
_TELL = 0.5
_IDLE = 1.0
"""The interval of both while nothing is recorded."""
_GATHER = 0.04
"""The time for which records are collected before they are read, since each wake-up costs more than a record."""
_MANY = 64
"""A number of records after which the next are read at once, because the sfu's socket may be full soon."""


class Attachments:
    """Consecutive attachments to one sfu. Recordings continue across them."""

    def __init__(
        self,
        config: RecorderConfig,
        recordings: Recordings,
        finisher: Finisher,
        facts: FactReporter,
        uploads: Uploads,
        *,
        broadcasts: Broadcasts,
        sink_socket: Path,
    ) -> None:
        self._config = config
        self._path = sink_socket
        self._recordings = recordings
        self._finisher = finisher
        self._facts = facts
        self._uploads = uploads
        self._broadcasts = broadcasts

    async def run(self) -> None:
        """Attach repeatedly until cancelled; before it returns, everything captured is sealed and on disk."""
        await stay_attached(self._path, self._attached, metrics.drop_unsent)

    async def _attached(self, sink: SinkSocket) -> None:
        durability = Durability()
        capture = Capture(self._config, self._recordings, durability)
        records = asyncio.Event()
        metrics.ATTACHED.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                work = (
                    self._tick(sink, capture, records),
                    self._sync(sink, capture, durability),
                    self._tell(sink, capture, records),
                )
                beside = [tasks.create_task(one) for one in work]
                await self._read(sink, capture, records)
                for task in beside:
                    task.cancel()
        finally:
            metrics.ATTACHED.dec()
            capture.close()
            self._pass_on(await durability.round())

    async def _read(self, sink: SinkSocket, capture: Capture, records: asyncio.Event) -> None:
        """Read until the sfu closes the socket. `records` is set while something is recorded."""
        sink.send(SinkHello(sink="recorder", instance=self._config.instance, v=VERSION))
        while batch := await sink.receive():
            now = time.monotonic_ns()
            for data in batch:
                try:
                    record = decode(data)
                except ValueError as error:
                    metrics.DROPPED_RECORDS.labels("malformed").inc()
                    _log.error("invalid sink record: %s", error)
                    continue
                if isinstance(record, BroadcastStarted | BroadcastEnded):
                    self._broadcasts.take(record, self._path)
                else:
                    capture.take(record, now)
            capture.pass_on()
            for recording in capture.take_begun():
                started = RecordingStarted(
                    room=recording.info.room, at=recording.info.started_unix_ms, recording=recording.info.recording
                )
                self._facts.report(started)
                _log.info("recording %s of %s began", recording.info.recording, recording.info.room)
                self._uploads.add_document(recording.info)
            if capture.is_open:
                records.set()
            else:
                records.clear()
            if len(batch) < _MANY:
                await asyncio.sleep(_GATHER)

    async def _tick(self, sink: SinkSocket, capture: Capture, records: asyncio.Event) -> None:
        while True:
            await _pause(_TICK, records)
            for wanted in capture.tick(time.monotonic_ns()):
                sink.send(wanted)
            for name in self._recordings.overdue(time.monotonic(), self._config.abandoned_seconds):
                _log.warning("the end of recording %s was never announced; finishing it as partial", name)
                capture.end(name, abandoned=True)

    async def _tell(self, sink: SinkSocket, capture: Capture, records: asyncio.Event) -> None:
        """Report to the sfu regularly that this recorder is alive, and which recordings are stalled."""
        while True:
            if capture.version >= 2:
                sink.send(RecorderState(stalled=capture.troubles(time.monotonic_ns())))
            await _pause(_TELL, records)

    async def _sync(self, sink: SinkSocket, capture: Capture, durability: Durability) -> None:
        while True:
            await durability.needed()
            await asyncio.sleep(self._config.sync_ms / 1000)
            synced = await durability.round()
            self._pass_on(synced)
            for durable in synced.durable:
                sink.send(durable)
            for recording in synced.ended if capture.version >= 2 else ():
                sink.send(RecordingKept(recording=recording.info.recording))

    def _pass_on(self, synced: Synced) -> None:
        for opened, segment in synced.sealed:
            self._uploads.add_segment(opened, segment)
        for recording in synced.ended:
            self._uploads.add_document(recording.info)
            self._finisher.add(recording)


async def _pause(seconds: float, records: asyncio.Event) -> None:
    """Wait for an interval while something is recorded, otherwise until a recording begins, at most for _IDLE."""
    if records.is_set():
        await asyncio.sleep(seconds)
    else:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(records.wait(), _IDLE)
