"""Sounds through the complete pipeline for files: file worker, voice activity, endpointing, recogniser, guards."""

import asyncio
import tempfile
import unicodedata
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.report import settled_interval
from inference.files.transcribe import Segment, transcribe_file
from inference.models import catalogue, store
from inference.recognisers.local import LocalRecogniser
from tests.inference.conftest import fetched_models
from tests.inference.material import RATE, Floats, Prompt, silence, word_errors, words

PAUSE_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Heard:
    """A prompt and its result: the texts and languages of the utterances within its time."""

    prompt: Prompt
    text: str
    languages: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, int]:
        """Return (word errors, words)."""
        said, heard = _unaccented(self.prompt.text), _unaccented(self.text)
        return word_errors(said, heard), len(words(said))


def _unaccented(text: str) -> str:
    """Return text without accents, because the transcripts of some voices have none."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


class Listener:
    """A running recogniser for files."""

    def __init__(self, recogniser: LocalRecogniser, voice_model: Path) -> None:
        self._recogniser = recogniser
        self._voice_model = voice_model

    async def segments(self, samples: Floats, languages: Sequence[str] = ()) -> list[Segment]:
        """Return the recognised utterances of the samples."""
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            with wave.open(file, "wb") as sound:
                sound.setparams((1, 2, RATE, 0, "NONE", ""))
                sound.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
            file.flush()
            with Path(file.name).open("rb") as media:
                found = transcribe_file(media.fileno(), self._recogniser, self._voice_model, 10, languages)
                return [item async for item in found if isinstance(item, Segment)]

    async def hear(self, spoken: Sequence[Prompt], sound: Floats, languages: Sequence[str] = ()) -> list[Heard]:
        """Return the results of prompts from `sound`, which has the length of those that `joined` makes."""
        segments = await self.segments(sound, languages)
        at, heard = 0.0, []
        for one in spoken:
            until = at + len(one.samples) / RATE + PAUSE_SECONDS
            own = [s for s in segments if at - PAUSE_SECONDS / 2 <= _middle(s) < until - PAUSE_SECONDS / 2]
            heard.append(Heard(one, " ".join(s.text for s in own), tuple(s.lang for s in own)))
            at = until
        return heard


def _middle(segment: Segment) -> float:
    return (segment.start_ms + segment.end_ms) / 2000


def joined(spoken: Sequence[Prompt]) -> Floats:
    """Join prompts with pauses."""
    return np.concatenate([part for one in spoken for part in (one.samples, silence(PAUSE_SECONDS))])


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Run a recogniser."""
    models, table = fetched_models(), catalogue.load()
    directories = [store.directory(models, table.named(n)) for n in (catalogue.VOICE_MODEL, catalogue.SPEECH_MODEL)]
    ready = asyncio.Event()
    recogniser = LocalRecogniser(threads=1, nice=10, changed=ready.set)
    running = asyncio.create_task(recogniser.run(directories[1]))
    try:
        await ready.wait()
        yield Listener(recogniser, directories[0] / "silero_vad.onnx")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def rate(counts: Sequence[tuple[int, int]]) -> float:
    """Errors per word."""
    return sum(errors for errors, _ in counts) / max(sum(total for _, total in counts), 1)


def interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """95 % interval of the rate by resampling prompts."""
    return settled_interval(lambda chosen: rate([counts[index] for index in chosen]), len(counts))
