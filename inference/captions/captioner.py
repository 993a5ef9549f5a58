"""Captioner: it runs the schedule, gives its jobs to a recogniser, and its captions to the sfu and to control."""

import asyncio
import logging
import time
from collections.abc import Callable

from foundation.failures import describe
from inference import metrics
from inference.captions.schedule import Job, Outcome, Schedule
from inference.messages import Speech
from inference.recognisers.recogniser import Recogniser
from sfu.api.facts import CaptionFinal, SpokenWord
from sfu.api.sink_records import CaptionRecord, TrackOpened

_log = logging.getLogger(__name__)


class Captioner:
    """Connect the outputs: `show` gets every caption, `store` the finals that have words."""

    def __init__(
        self,
        languages: tuple[str, ...],
        *,
        show: Callable[[CaptionRecord], None],
        store: Callable[[CaptionFinal], object],
    ) -> None:
        self._show = show
        self._store = store
        self._schedule = Schedule(languages, lambda reason: metrics.WORDLESS.labels(reason).inc())
        self._wake = asyncio.Event()

    def recogniser_changed(self) -> None:
        """Handle a recogniser that became ready or took over."""
        self._wake.set()

    def spoken(self, track: TrackOpened, speech: Speech) -> None:
        """Add audio of an utterance."""
        self._emit(self._schedule.speech(track, speech, time.monotonic_ns()))
        self._wake.set()

    def gone(self, handle: int, usable: bool) -> None:
        """Remove a closed track; unless `usable`, its speech must not be used."""
        self._emit(self._schedule.forget(handle, time.monotonic_ns(), usable=usable))

    async def run(self, recogniser: Recogniser) -> None:
        """Recognise with `recogniser` until cancelled."""
        while True:
            job = None
            if recogniser.model is not None:
                self._schedule.model = recogniser.model
                job = self._schedule.next_job(time.monotonic_ns(), recogniser.max_batch)
            metrics.FINALS_WAITING.set(self._schedule.waiting)
            metrics.SPEAKING.set(self._schedule.speaking)
            if job is None:
                await self._idle(recogniser)
            else:
                await self._recognise(recogniser, job)

    async def _idle(self, recogniser: Recogniser) -> None:
        """Wait for speech, for the recogniser, or until a partial is due."""
        due = self._schedule.timer() if recogniser.model is not None else None
        timeout = None if due is None else max(0.01, (due - time.monotonic_ns()) / 1e9)
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return
        self._wake.clear()

    async def _recognise(self, recogniser: Recogniser, job: Job) -> None:
        began = time.monotonic_ns()
        metrics.BATCH.observe(len(job.clips))
        try:
            transcripts = await recogniser.transcribe(job.clips)
        except Exception as error:  # the schedule must learn in any case that the job is over
            _log.warning("cannot recognise %d clips: %s", len(job.clips), describe(error))
            metrics.DROPS.labels("recogniser", "failed").inc(len(job.clips))
            self._emit(self._schedule.failed(job, time.monotonic_ns()))
            return
        now = time.monotonic_ns()
        metrics.PASS.observe((now - began) / 1e9)
        self._emit(self._schedule.result(job, transcripts, now, now - began))

    def _emit(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            caption = outcome.caption
            metrics.LATENCY.labels("final" if caption.final else "partial").observe(max(outcome.latency, 0) / 1e9)
            self._show(caption)
            if caption.final and caption.text:
                self._store(_fact(outcome))


def _fact(outcome: Outcome) -> CaptionFinal:
    caption = outcome.caption
    return CaptionFinal(
        room=caption.room,
        at=time.time_ns() // 1_000_000,
        participant=caption.participant,
        track=caption.track,
        utterance=caption.utterance,
        start_ms=caption.start_ms,
        end_ms=caption.end_ms,
        lang=caption.lang,
        text=caption.text,
        model=caption.model,
        words=tuple(SpokenWord(word.text, word.start_ms, word.end_ms) for word in outcome.words),
    )
