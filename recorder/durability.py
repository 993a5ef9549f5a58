"""Durability: syncs captured media to disk at a limited rate, in a thread, and reports them only afterwards."""

import asyncio
import logging
import time
from pathlib import Path
from typing import NamedTuple

from recorder import manifest, metrics
from recorder.recordings import Recording
from recorder.segment_file import ClosedSegment, SegmentFile
from recorder.stream_capture import Written
from recorder.trouble import sentence
from sfu.api.sink_records import Durable, TrackOpened

_log = logging.getLogger(__name__)

_PATIENCE = 3_000_000_000


class Sealed(NamedTuple):
    """A segment that is closed and on disk."""

    opened: TrackOpened
    segment: ClosedSegment


class Synced(NamedTuple):
    """The result of a round: the media that are now durable. `ended` has the recordings that are completely durable."""

    durable: list[Durable]
    sealed: list[Sealed]
    ended: list[Recording]


class Durability:
    """Collects dirty segments and syncs them in rounds; rounds must not overlap."""

    def __init__(self) -> None:
        self._dirty: dict[SegmentFile, tuple[TrackOpened, Recording]] = {}
        self._last: dict[SegmentFile, ClosedSegment | None] = {}
        self._documents: dict[Recording, None] = {}
        self._ended: list[Recording] = []
        self._under_way: tuple[int, frozenset[Recording]] | None = None
        self._some = asyncio.Event()

    def silent(self, now: int) -> frozenset[Recording]:
        """Return the recordings whose sync has been pending for long; `now` in ns."""
        if self._under_way is None or now - self._under_way[0] < _PATIENCE:
            return frozenset()
        return self._under_way[1]

    def add_document(self, recording: Recording) -> None:
        """Note that `recording.json` was written."""
        self._documents[recording] = None
        self._some.set()

    def add(self, opened: TrackOpened, recording: Recording, changes: list[Written]) -> None:
        """Add the changes of a stream."""
        for change in changes:
            self._dirty[change.segment] = (opened, recording)
            if change.last:
                self._last[change.segment] = change.closed
        self._some.set()

    def end(self, recording: Recording) -> None:
        """Report a recording as complete after the next round."""
        self._ended.append(recording)
        self._some.set()

    async def needed(self) -> None:
        """Wait until there is something to sync or to report."""
        await self._some.wait()

    async def round(self) -> Synced:
        """Sync everything dirty."""
        self._some.clear()
        dirty, self._dirty = self._dirty, {}
        last, self._last = self._last, {}
        documents, self._documents = self._documents, {}
        ended, self._ended = self._ended, []
        reached = {segment: segment.last_ext_seq for segment in dirty}
        concerned = frozenset([*documents, *(recording for _, recording in dirty.values())])
        self._under_way = time.monotonic_ns(), concerned
        work = asyncio.ensure_future(asyncio.to_thread(_sync, list(dirty), list(documents)))
        try:
            failed = await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            self._put_back(dirty, last, documents, ended)
            raise
        finally:
            self._under_way = None
        synced = Synced([], [], ended)
        for segment, (opened, recording) in dirty.items():
            assert opened.recording is not None
            if segment in failed:
                recording.problems += 1
                recording.trouble.refused(failed[segment], time.monotonic_ns())
            else:
                recording.trouble.kept()
                synced.durable.append(
                    Durable(recording=opened.recording, track=opened.track, ssrc=opened.ssrc, ext_seq=reached[segment])
                )
            if segment in last:
                segment.release()
                closed = last[segment]
                if closed is not None:
                    synced.sealed.append(Sealed(opened, closed))
        return synced

    def _put_back(
        self,
        dirty: dict[SegmentFile, tuple[TrackOpened, Recording]],
        last: dict[SegmentFile, ClosedSegment | None],
        documents: dict[Recording, None],
        ended: list[Recording],
    ) -> None:
        """Return the unreported changes of a cancelled round to the next one."""
        self._dirty = dirty | self._dirty
        self._last = last | self._last
        self._documents = documents | self._documents
        self._ended = ended + self._ended
        self._some.set()


def _sync(segments: list[SegmentFile], documents: list[Recording]) -> dict[SegmentFile, str]:
    """Sync documents and segments; return the segments that the disk refused, each with a sentence about it."""
    failed: dict[SegmentFile, str] = {}
    if not segments and not documents:
        return failed
    begun = time.monotonic()
    for recording in documents:
        try:
            manifest.sync_info(recording.directory)
        except OSError as error:
            _refused(recording.directory, error)
    for segment in segments:
        try:
            segment.sync()
        except OSError as error:
            _refused(segment.path, error)
            failed[segment] = sentence(error)
    metrics.SYNC_SECONDS.observe(time.monotonic() - begun)
    return failed


def _refused(path: Path, error: OSError) -> None:
    _log.error("%s: %s", path, error)
    metrics.DISK_ERRORS.labels(metrics.name_of(error)).inc()
