"""Uploads closed segments and documents to the object store during the recording.

A segment's media are uploaded first, then its journal, so a journal in the store shows that its media are there. Stored
segments are deleted from this disk, except the newest of each track, from which a killed recorder continues. If
recordings are kept on this disk, there is nothing to upload.
"""

import asyncio
import functools
import logging
import time
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple

from foundation.background import keep_running
from foundation.failures import describe
from objects.threads import Objects
from recorder import layout, metrics, store_outage, stored
from recorder.journal import JournalHead
from recorder.manifest import Manifest, RecordingInfo
from recorder.recordings import SEALING, Recording, Recordings
from recorder.segment_file import ClosedSegment
from sfu.api.fact_reporter import FactReporter
from sfu.api.facts import SegmentClosed
from sfu.api.sink_records import TrackOpened

_log = logging.getLogger(__name__)

MAX_WAITING = 20_000
_AT_ONCE = 3
_FIRST_DELAY = 0.5
_MAX_DELAY = 30.0


class _Closed(NamedTuple):
    fact: SegmentClosed
    media: Path


class Uploads:
    """A queue of closed segments on disk; `run` uploads them, however long that takes."""

    def __init__(self, objects: Objects | None, recordings: Recordings, facts: FactReporter) -> None:
        self.objects = objects
        self._recordings = recordings
        self._facts = facts
        self._segments: deque[_Closed] = deque()
        self._documents: dict[str, RecordingInfo] = {}
        self._some = asyncio.Event()
        self._newest: dict[Path, Path] = {}
        self._keyed: set[str] = set()
        self._pending: Counter[str] = Counter()
        self._less = asyncio.Condition()

    def add_segment(self, source: TrackOpened | JournalHead, segment: ClosedSegment) -> None:
        """Queue a segment of a track; it is reported once it is in the store."""
        assert source.recording is not None
        fact = SegmentClosed(
            room=source.room,
            at=time.time_ns() // 1_000_000,
            recording=source.recording,
            track=source.track,
            participant=source.participant,
            key=layout.key(self._recordings.root, segment.path),
            bytes=segment.bytes,
            sha256=segment.sha256,
        )
        if self.objects is None:
            self._facts.report(fact)
            return
        if len(self._segments) >= MAX_WAITING:  # finishing uploads what is missing
            metrics.UPLOADS.labels("overflowed").inc()
            return
        self._segments.append(_Closed(fact, segment.path))
        self._pending[fact.recording] += 1
        self._some.set()

    def add_document(self, info: RecordingInfo) -> None:
        """Queue the latest `recording.json`."""
        if self.objects is not None:
            self._documents[info.recording] = info
            self._some.set()

    async def run(self) -> None:
        """Upload until cancelled."""
        if self.objects is None:
            return
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(keep_running("uploads", functools.partial(self._work, self.objects)))

    async def settled(self, recording: str) -> None:
        """Return once no segment of an ended recording waits here: then all losses are known."""
        async with self._less:
            await self._less.wait_for(lambda: not self._pending[recording])
        del self._pending[recording]

    async def commit(self, finished: Manifest) -> None:
        """Return once a finished recording is in the store with its manifest."""
        if self.objects is None:
            return
        root = self._recordings.root
        delay = _FIRST_DELAY
        while True:
            try:
                await self.objects.call(stored.commit, self.objects.store, root, finished)
                await self.objects.call(stored.shed, root, finished)
            except OSError as error:
                delay = await self._refused(error, delay)
            else:
                break
        store_outage.note(None)
        self._keyed.discard(finished.recording)
        directory = layout.recording_dir(root, finished.recording)
        for track in [track for track in self._newest if track.parent == directory]:
            del self._newest[track]

    async def forget(self, recording: str) -> None:
        """Mark a recording as finished in the store: control knows the manifest."""
        if self.objects is None:
            return
        try:
            await self.objects.remove(stored.open_key(recording))
        except OSError as error:  # the next start finds it, and reports it again
            _log.warning(
                "recording %s cannot be marked as finished in the object store: %s", recording, describe(error)
            )

    async def _work(self, objects: Objects) -> None:
        while True:
            if self._documents:
                _, info = self._documents.popitem()
                await self._note(objects, info)
            elif self._segments:
                segment = self._segments.popleft()
                try:
                    await self._upload(objects, segment)
                finally:  # finishing stores the rest
                    async with self._less:
                        self._pending[segment.fact.recording] -= 1
                        self._less.notify_all()
            else:
                self._some.clear()
                await self._some.wait()

    async def _note(self, objects: Objects, info: RecordingInfo) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                await objects.call(stored.note, objects.store, info)
            except OSError as error:
                delay = await self._refused(error, delay)
                info = self._documents.pop(info.recording, info)  # the latest state
            else:
                store_outage.note(None)
                return

    async def _upload(self, objects: Objects, segment: _Closed) -> None:
        delay = _FIRST_DELAY
        journal = segment.media.with_suffix(layout.JOURNAL_SUFFIX)
        while True:
            try:
                if segment.fact.recording not in self._keyed:
                    root, recording_id = self._recordings.root, segment.fact.recording
                    await objects.call(stored.put_keys, objects.store, root, recording_id)
                    self._keyed.add(recording_id)
                await objects.put_file(segment.fact.key, segment.media, sha256=segment.fact.sha256)
                await objects.put_file(layout.key(self._recordings.root, journal), journal)
            except OSError as error:
                recording = self._recordings.known(segment.fact.recording)
                if recording is not None and not segment.media.exists():
                    _log.error("%s disappeared from this disk before it was stored", segment.fact.key)
                    metrics.UPLOADS.labels("missing").inc()
                    recording.problems += 1
                    return
                if recording is None or recording.state == SEALING:
                    return  # finishing stores the rest
                delay = await self._refused(error, delay)
            else:
                break
        store_outage.note(None)
        metrics.UPLOADS.labels("stored").inc()
        self._facts.report(segment.fact)
        self._shed(segment, self._recordings.known(segment.fact.recording))

    def _shed(self, segment: _Closed, recording: Recording | None) -> None:
        """Delete the previous newest segment of the track. Finishing deletes those that it has stored."""
        if recording is None or recording.state == SEALING:
            return
        track = segment.media.parent
        before = self._newest.get(track)
        newest = max((one for one in (before, segment.media) if one is not None), key=_order)
        self._newest[track] = newest
        for path in (before, segment.media):
            if path is not None and path != newest:
                path.unlink(missing_ok=True)

    async def _refused(self, error: OSError, delay: float) -> float:
        metrics.UPLOADS.labels("refused").inc()
        store_outage.note(error)
        await asyncio.sleep(delay)
        return min(2 * delay, _MAX_DELAY)


def _order(path: Path) -> layout.SegmentName:
    name = layout.segment_name(path)
    assert name is not None
    return name
