"""The recorder process: attach to the sfu for ever, finish what has ended, report it."""

import asyncio
import logging
import time
from collections.abc import Callable

from recorder import layout, recovery
from recorder.attachment import Attachments
from recorder.config import RecorderConfig
from recorder.fact_reporter import FactReporter
from recorder.finisher import Finisher
from recorder.journal import JournalHead
from recorder.recordings import SEALING, Recording, Recordings
from recorder.segment_file import ClosedSegment
from sfu.api.facts import SegmentClosed

logger = logging.getLogger(__name__)


async def run(config: RecorderConfig, ready: Callable[[], None]) -> None:
    """Record what the sfu offers until cancelled; `ready` is called once unfinished recordings were looked at.

    Cancellation seals the open segments and returns; what was not finished then is finished by the next start. OSError
    when the recordings directory cannot be used.
    """
    recordings = Recordings(config.recordings_dir)
    facts = FactReporter(config.control_url, config.node_secret, config.instance)
    finisher = Finisher(config, recordings, facts)
    unreported = await asyncio.to_thread(recordings.load)
    unfinished = recordings.unfinished()
    segments = [await asyncio.to_thread(_recent_segments, recording) for recording in unfinished]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(facts.run())
        tasks.create_task(finisher.run())
        tasks.create_task(Attachments(config, recordings, finisher, facts).run())
        for manifest in unreported:
            tasks.create_task(finisher.report(manifest))
        for recording, recent in zip(unfinished, segments, strict=True):
            _report_again(config, recent, facts)
            if recording.state == SEALING:
                finisher.add(recording)
        ready()


def _recent_segments(recording: Recording) -> list[tuple[JournalHead, ClosedSegment]]:
    try:
        return recovery.recent_segments(recording.directory)
    except OSError as error:
        logger.error("recording %s: %s", recording.info.recording, error)
        return []


def _report_again(
    config: RecorderConfig, segments: list[tuple[JournalHead, ClosedSegment]], facts: FactReporter
) -> None:
    """Report the recent segments of a recovered recording: which reports arrived died with the process."""
    now = time.time_ns() // 1_000_000
    for head, segment in segments:
        facts.report(
            SegmentClosed(
                room=head.room,
                at=now,
                recording=head.recording,
                track=head.track,
                participant=head.participant,
                key=layout.key(config.recordings_dir, segment.path),
                bytes=segment.bytes,
                sha256=segment.sha256,
            )
        )
