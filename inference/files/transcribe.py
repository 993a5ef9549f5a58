"""Speech recognition of an entire file: progress and segments as they become known."""

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference import messages
from inference.captions.text import tidy
from inference.files.read import speech_of_file
from inference.recognisers.recogniser import Recogniser
from inference.speech.guards import refusal
from inference.speech.language import LanguageTracker


@dataclass(frozen=True, slots=True)
class Segment:
    """Recognised speech from `start_ms` to `end_ms` of the file."""

    start_ms: int
    end_ms: int
    lang: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress in a file. `duration_ms` is 0 while unknown. `done`: the end was reached."""

    read_ms: int
    duration_ms: int
    done: bool


async def transcribe_file(
    descriptor: int, recogniser: Recogniser, voice_model: Path, nice: int, languages: Sequence[str]
) -> AsyncIterator[Segment | Progress]:
    """Yield the segments of the media file open at `descriptor`, in order, and progress, the last with `done`.

    A single entry in `languages` is the language spoken; several are candidates. Raises FileError and ModelError.
    """
    tracker = LanguageTracker(languages)
    async for message in speech_of_file(descriptor, voice_model, nice):
        if isinstance(message, messages.FileProgress):
            yield Progress(message.read_ms, message.duration_ms, message.done)
            continue
        heard = isinstance(message, messages.Speech) and await _recognise(message, recogniser, tracker, languages)
        if heard:
            yield heard


async def _recognise(
    speech: messages.Speech, recogniser: Recogniser, tracker: LanguageTracker, languages: Sequence[str]
) -> Segment | None:
    seconds = speech.samples / 16_000
    prior = tracker.prior(seconds)
    clip = messages.ClipMessage(
        pcm=speech.pcm,
        prior=None if prior is None else dict(prior),
        language=languages[0] if len(languages) == 1 else None,
    )
    (transcript,) = await recogniser.transcribe([clip])
    if refusal(transcript, speech.voiced_ms) is not None:
        return None
    tracker.observe(transcript.detected, transcript.detected_probability, seconds)
    text = tidy(transcript.text, transcript.language)
    return Segment(speech.start_ms, speech.end_ms, transcript.language, text, round(math.exp(transcript.logprob), 3))
