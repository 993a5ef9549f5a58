"""Schedule of recognition, and the resulting captions. Pure: speech and transcripts in, captions out.

Finals go first, oldest first. Partials run only if no final is waiting, and less often the busier the recogniser is. A
partial made during the pause that ends an utterance already has the final's audio, so it becomes the final. Everything
is bounded: if too many finals are waiting, the oldest are given up, counted, and end with their last text.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from inference.captions.text import tidy, words_of
from inference.messages import ClipMessage, Speech
from inference.speech.guards import refusal
from inference.speech.language import LanguageTracker
from inference.speech.transcript import Transcript, window_seconds
from inference.speech.word_times import Word
from sfu.api.sink_records import CaptionRecord, TrackOpened

SAMPLE_RATE = 16_000
_BYTES = 2
_SECOND = 1_000_000_000
MAX_FINALS = 64
MAX_ATTEMPTS = 2
MAX_SPEAKERS = 2000
LONGEST_BYTES = 28 * SAMPLE_RATE * _BYTES
FIRST_PARTIAL_MS = 700
LEAST_VOICED_MS = 192
PARTIAL_GROWTH_MS = 600
LEAST_CADENCE = 700_000_000
_PASS_BUDGET = 600_000_000
"""Longest estimated recognition time of a batch of partials, in ns, so that a final never waits for longer."""


@dataclass(slots=True)
class Utterance:
    """One utterance in progress or waiting for its final."""

    track: TrackOpened
    begin: int
    pcm: bytearray = field(default_factory=bytearray)
    samples: int = 0
    start_ms: int = 0
    end_ms: int = 0
    voiced_ms: int = 0
    paused: bool = False
    final: bool = False
    ended: bool = False
    rev: int = 0
    text: str = ""
    lang: str = ""
    last_pass: int = 0
    attempts: int = 0
    heard: int = 0
    """Number of samples in the last pass."""
    heard_transcript: Transcript | None = None

    @property
    def identity(self) -> str:
        return f"{self.track.track}-{self.track.handle}-{self.begin}"

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Job:
    """Clips to recognise together, all with the same window."""

    utterances: tuple[Utterance, ...]
    clips: tuple[ClipMessage, ...]
    samples: tuple[int, ...]
    ends_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A caption to show, its delay in ns since the end of its speech, and a final's words, timed from its start."""

    caption: CaptionRecord
    latency: int
    words: tuple[Word, ...] = ()


class Schedule:
    """Schedule of all utterances in the process. Captions contain the `model`'s name. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, expected_languages: Sequence[str] = (), count: Callable[[str], None] | None = None) -> None:
        """Set up the schedule. `count` is called with the reason for every utterance that ends without words."""
        self.model = ""
        self._expected = tuple(expected_languages)
        self._count = count or (lambda reason: None)
        self._open: dict[tuple[int, int], Utterance] = {}
        self._finals: OrderedDict[int, Utterance] = OrderedDict()
        self._languages: OrderedDict[tuple[str, str], LanguageTracker] = OrderedDict()
        self._under_way: tuple[Utterance, ...] = ()
        self._clip_cost = _SECOND // 3

    @property
    def waiting(self) -> int:
        """Number of finals that are waiting for the recogniser."""
        return len(self._finals)

    @property
    def speaking(self) -> int:
        """Number of utterances in progress."""
        return len(self._open)

    def speech(self, track: TrackOpened, piece: Speech, now: int) -> list[Outcome]:
        """Add audio of an utterance of `track`; return captions if the utterance ends without a further pass."""
        key = (piece.handle, piece.begin)
        utterance = self._open.setdefault(key, Utterance(track, piece.begin))
        utterance.pcm += piece.pcm[: max(0, LONGEST_BYTES - len(utterance.pcm))]
        utterance.samples = min(piece.samples, len(utterance.pcm) // _BYTES)
        utterance.start_ms, utterance.end_ms = piece.start_ms, piece.end_ms
        utterance.voiced_ms, utterance.paused = piece.voiced_ms, piece.paused
        if not piece.final:
            return []
        del self._open[key]
        utterance.final = True
        if piece.discard:
            return self._end(utterance, "", utterance.lang, "too_short", now)
        if utterance.heard_transcript is not None and utterance.heard == utterance.samples:
            return self._conclude(utterance, utterance.heard_transcript, now)
        self._finals[id(utterance)] = utterance
        return self._shed(now)

    def forget(self, handle: int, now: int, *, usable: bool) -> list[Outcome]:
        """End a closed track's open utterances with their last text; unless `usable`, withdraw partials."""
        outcomes: list[Outcome] = []
        for key in [key for key in self._open if key[0] == handle]:
            utterance = self._open.pop(key)
            utterance.final = True
            outcomes += self._end(utterance, utterance.text if usable else "", utterance.lang, "track_gone", now)
        if not usable:
            for utterance in [*self._finals.values(), *self._under_way]:
                if utterance.track.handle == handle and not utterance.ended:
                    self._finals.pop(id(utterance), None)
                    outcomes += self._end(utterance, "", utterance.lang, "consent", now)
        return outcomes

    def next_job(self, now: int, max_batch: int) -> Job | None:
        """Return the next job for the recogniser, or None."""
        if self._finals:
            chosen = self._alike(list(self._finals.values()), max_batch)
            for utterance in chosen:
                del self._finals[id(utterance)]
            return self._job(chosen, now)
        due = sorted(
            (utterance for utterance in self._open.values() if self._due_at(utterance) <= now),
            key=lambda utterance: utterance.last_pass,
        )
        affordable = max(1, min(max_batch, _PASS_BUDGET // max(self._clip_cost, 1)))
        return self._job(self._alike(due, affordable), now) if due else None

    def timer(self) -> int | None:
        """Return the time at which the next partial is due, or None."""
        return min(
            (self._due_at(utterance) for utterance in self._open.values() if self._grown(utterance)), default=None
        )

    def result(self, job: Job, transcripts: Sequence[Transcript], now: int, took: int) -> list[Outcome]:
        """Process a job's transcripts, which took `took` ns."""
        cost = took // len(job.utterances)
        self._clip_cost += (cost - self._clip_cost) // 4
        outcomes: list[Outcome] = []
        for utterance, samples, end_ms, transcript in zip(
            job.utterances, job.samples, job.ends_ms, transcripts, strict=True
        ):
            utterance.heard, utterance.heard_transcript = samples, transcript
            if utterance.ended:
                continue
            if not utterance.final:
                outcomes += self._partial(utterance, transcript, end_ms, now)
            elif samples == utterance.samples:  # also if the utterance ended during this pass, with the same audio
                self._finals.pop(id(utterance), None)
                outcomes += self._conclude(utterance, transcript, now)
        self._under_way = ()
        return outcomes

    def failed(self, job: Job, now: int) -> list[Outcome]:
        """Handle a failed job.

        Finals get MAX_ATTEMPTS tries, then end with their last text; partials are retried later.
        """
        outcomes: list[Outcome] = []
        for utterance in reversed(job.utterances):
            utterance.attempts += 1
            if utterance.ended or not utterance.final or id(utterance) in self._finals:
                continue
            if utterance.attempts < MAX_ATTEMPTS:
                self._finals[id(utterance)] = utterance
                self._finals.move_to_end(id(utterance), last=False)
            else:
                outcomes += self._end(utterance, utterance.text, utterance.lang, "recogniser", now)
        self._under_way = ()
        return outcomes

    def _shed(self, now: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(self._finals) > MAX_FINALS:
            _, oldest = self._finals.popitem(last=False)
            outcomes += self._end(oldest, oldest.text, oldest.lang, "overload", now)
        return outcomes

    def _alike(self, candidates: list[Utterance], most: int) -> list[Utterance]:
        """Return the first candidate and the following ones with the same window."""
        if not candidates:
            return []
        window = window_seconds(candidates[0].samples)
        return [utterance for utterance in candidates if window_seconds(utterance.samples) == window][:most]

    def _job(self, utterances: list[Utterance], now: int) -> Job:
        clips = []
        for utterance in utterances:
            utterance.last_pass = now
            prior = self._tracker(utterance.track).prior(utterance.seconds)
            pcm = bytes(utterance.pcm[: utterance.samples * _BYTES])
            clips.append(ClipMessage(pcm=pcm, prior=None if prior is None else dict(prior)))
        self._under_way = tuple(utterances)
        samples = tuple(utterance.samples for utterance in utterances)
        return Job(self._under_way, tuple(clips), samples, tuple(utterance.end_ms for utterance in utterances))

    def _grown(self, utterance: Utterance) -> bool:
        """Return whether a pass would cover enough new speech."""
        growth_ms = (utterance.samples - utterance.heard) * 1000 // SAMPLE_RATE
        if utterance.paused:
            return growth_ms > 0 and utterance.voiced_ms >= LEAST_VOICED_MS
        return utterance.voiced_ms >= FIRST_PARTIAL_MS and growth_ms >= PARTIAL_GROWTH_MS

    def _due_at(self, utterance: Utterance) -> int:
        if not self._grown(utterance):
            return 1 << 62
        if utterance.paused:
            return utterance.last_pass
        cadence = max(LEAST_CADENCE, 2 * self._clip_cost * len(self._open))
        return utterance.last_pass + cadence

    def _tracker(self, track: TrackOpened) -> LanguageTracker:
        key = (track.room, track.participant)
        tracker = self._languages.setdefault(key, LanguageTracker(self._expected))
        self._languages.move_to_end(key)
        while len(self._languages) > MAX_SPEAKERS:
            self._languages.popitem(last=False)
        return tracker

    def _partial(self, utterance: Utterance, transcript: Transcript, end_ms: int, now: int) -> list[Outcome]:
        if self._refusal(utterance, transcript) is not None:
            return []
        text = tidy(transcript.text, transcript.language)
        if text == utterance.text:
            return []
        utterance.text, utterance.lang = text, transcript.language
        return [self._outcome(utterance, end_ms, now)]

    def _conclude(self, utterance: Utterance, transcript: Transcript, now: int) -> list[Outcome]:
        reason = self._refusal(utterance, transcript)
        if reason is not None:
            return self._end(utterance, "", transcript.language, reason, now)
        tracker = self._tracker(utterance.track)
        tracker.observe(transcript.detected, transcript.detected_probability, utterance.seconds)
        text = tidy(transcript.text, transcript.language)
        ended = self._end(utterance, text, transcript.language, None, now)
        return [replace(outcome, words=words_of(text, transcript.words)) for outcome in ended]

    def _end(self, utterance: Utterance, text: str, lang: str, reason: str | None, now: int) -> list[Outcome]:
        """Return the final. Without text, it only withdraws the partials."""
        utterance.ended = True
        if reason is not None:
            self._count(reason)
        if not text and utterance.rev == 0:
            return []
        utterance.text, utterance.lang = text, lang
        return [self._outcome(utterance, utterance.end_ms, now)]

    def _refusal(self, utterance: Utterance, transcript: Transcript) -> str | None:
        return refusal(transcript, utterance.voiced_ms)

    def _outcome(self, utterance: Utterance, end_ms: int, now: int) -> Outcome:
        """Return a caption of the utterance, as recognised up to `end_ms`."""
        utterance.rev += 1
        track = utterance.track
        caption = CaptionRecord(
            room=track.room,
            participant=track.participant,
            track=track.track,
            utterance=utterance.identity,
            rev=utterance.rev,
            final=utterance.final,
            start_ms=utterance.start_ms,
            end_ms=max(end_ms, utterance.start_ms),
            lang=utterance.lang,
            text=utterance.text,
            model=self.model,
        )
        return Outcome(caption, now - track.opened_at - end_ms * 1_000_000)
