"""Whisper on onnxruntime: clips of speech to text by greedy decoding, in batches of clips with the same window.

It needs only numpy and onnxruntime, so the same code runs in the local recogniser and in Triton's Python backend, with
the same transcripts. The prompt is start, language, transcribe, no timestamps. The language is the clip's own, or the
most probable one after the start token. The prompt has no text of earlier clips, so an error ends with its clip.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.speech.mel import SAMPLE_RATE, log_mel
from inference.speech.session import session_options
from inference.speech.transcript import (
    LONGEST_S,
    LOOP_REPEATS,
    Transcript,
    compression_ratio,
    loop_start,
    window_seconds,
)
from inference.speech.vocabulary import Vocabulary
from inference.speech.word_times import FRAME_MS, Word, token_starts, words

Floats = NDArray[np.float32]
_CPU = ("CPUExecutionProvider",)
_GPU = ("CUDAExecutionProvider", *_CPU)
_TOKENS_PER_SECOND = 12
_SPARE_TOKENS = 16
_MAX_TOKENS = 220


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of 16 kHz mono samples in ±1. `language` is an ISO 639-1 code; None lets the model choose.

    `prior` has the weights of languages in that choice; others have the weight `prior[""]`, by default 1.
    """

    samples: Floats
    language: str | None = None
    prior: Mapping[str, float] | None = None


@dataclass(slots=True)
class _Row:
    """State of one clip during decoding."""

    limit: int
    tokens: list[int]
    logprob: float = 0.0
    steps: int = 0
    looped: bool = False
    done: bool = False
    attention: list[Floats] = field(default_factory=list)
    """[alignment heads, frames] for each token, and for the end."""


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def features(clips: Sequence[Clip], window: int) -> Floats:
    """Return the encoder's input, [clips, 80, 100 · window], for a window in seconds; clips are cut at LONGEST_S."""
    samples = window * SAMPLE_RATE
    return np.stack([log_mel(clip.samples[: LONGEST_S * SAMPLE_RATE], samples) for clip in clips])


class WhisperEncoder:
    """The loaded encoder. Not thread-safe."""

    def __init__(self, directory: Path, threads: int = 1, *, gpu: bool = False) -> None:
        """Load encoder.onnx; raises onnxruntime's errors."""
        path = str(directory / "encoder.onnx")
        self._session = onnxruntime.InferenceSession(path, session_options(threads), providers=_GPU if gpu else _CPU)
        self.outputs = [output.name for output in self._session.get_outputs()]

    def encode(self, mel: Floats) -> dict[str, Floats]:
        """Return the cross-attention keys and values for the decoder, given `mel` [batch, 80, frames]."""
        return dict(zip(self.outputs, self._session.run(None, {"mel": mel}), strict=True))


class WhisperDecoder:
    """The loaded decoder. Not thread-safe."""

    def __init__(self, directory: Path, threads: int = 1, *, gpu: bool = False) -> None:
        """Load decoder.onnx, vocabulary.json and config.json; raises OSError or ValueError."""
        self.vocabulary = Vocabulary.load(directory / "vocabulary.json")
        path = str(directory / "decoder.onnx")
        self._decoder = onnxruntime.InferenceSession(path, session_options(threads), providers=_GPU if gpu else _CPU)
        inputs = {value.name: value.shape for value in self._decoder.get_inputs()}
        self.cross = [name for name in inputs if name.startswith("cross_")]
        self.heads, self.head_size = inputs["past_k_0"][1], inputs["past_k_0"][3]
        self._past = [output.name.replace("present", "past") for output in self._decoder.get_outputs()[2:]]
        settings = json.loads((directory / "config.json").read_text("utf-8"))
        size = len(self.vocabulary.pieces)
        self._suppressed = np.zeros(size, np.float32)
        self._suppressed[settings["suppress_ids"]] = -np.inf
        self._suppressed[self.vocabulary.end + 1 :] = -np.inf
        self._suppressed_first = self._suppressed.copy()
        self._suppressed_first[settings["suppress_ids_begin"]] = -np.inf
        self._language_ids = np.array(list(self.vocabulary.languages.values()))
        self._language_names = list(self.vocabulary.languages)

    def decode(self, clips: Sequence[Clip], cross: Mapping[str, Floats]) -> list[Transcript]:
        """Return transcripts from the encoder's output for `clips`."""
        vocabulary, count = self.vocabulary, len(clips)
        cache: dict[str, Any] = {
            name: np.zeros((count, self.heads, 0, self.head_size), np.float32) for name in self._past
        }
        logits, _ = self._step(np.full((count, 1), vocabulary.start, np.int64), cache, cross)
        no_speech = np.exp(_log_softmax(logits)[:, vocabulary.no_speech])
        languages = np.exp(_log_softmax(logits[:, self._language_ids]))
        chosen = [self._choose(clip, languages[row]) for row, clip in enumerate(clips)]
        prompt = [[int(self._language_ids[index]), vocabulary.transcribe, vocabulary.no_timestamps] for index in chosen]
        first = self._step(np.array(prompt, np.int64), cache, cross)
        rows = [
            _Row(min(_MAX_TOKENS, _SPARE_TOKENS + _TOKENS_PER_SECOND * len(c.samples) // SAMPLE_RATE), [])
            for c in clips
        ]
        self._greedy(rows, first, cache, cross)
        return [
            self._transcript(row, len(clips[i].samples), languages[i], chosen[i], float(no_speech[i]))
            for i, row in enumerate(rows)
        ]

    def _choose(self, clip: Clip, probabilities: Floats) -> int:
        if clip.language is not None:
            if clip.language not in self.vocabulary.languages:
                raise ValueError(f"Whisper has no language {clip.language!r}")
            return self._language_names.index(clip.language)
        if clip.prior is None:
            return int(probabilities.argmax())
        other = clip.prior.get("", 1.0)
        weights = np.array([clip.prior.get(name, other) for name in self._language_names])
        return int((probabilities * weights).argmax())

    def _step(
        self, tokens: NDArray[np.int64], cache: dict[str, Any], cross: Mapping[str, Floats]
    ) -> tuple[Floats, Floats]:
        """Run the decoder on new tokens and advance `cache`; return logits and attention of the last one."""
        logits, attention, *present = self._decoder.run(None, {"tokens": tokens, **cache, **cross})
        cache.update(zip(self._past, present, strict=True))
        return logits, attention

    def _greedy(
        self,
        rows: Sequence[_Row],
        first: tuple[Floats, Floats],
        cache: dict[str, Any],
        cross: Mapping[str, Floats],
    ) -> None:
        end = self.vocabulary.end
        logits, attention = first
        suppressed = self._suppressed_first
        while True:
            scores = _log_softmax(logits + suppressed)
            suppressed = self._suppressed
            best = scores.argmax(axis=1)
            for index, row in enumerate(rows):
                if not row.done:
                    row.attention.append(attention[index])
                    self._advance(row, int(best[index]), float(scores[index, best[index]]))
                if row.done:
                    best[index] = end
            if all(row.done for row in rows):
                return
            logits, attention = self._step(best[:, None].astype(np.int64), cache, cross)

    def _advance(self, row: _Row, token: int, logprob: float) -> None:
        row.logprob += logprob
        row.steps += 1
        if token == self.vocabulary.end:
            row.done = True
            return
        row.tokens.append(token)
        if (start := loop_start(row.tokens)) is not None:
            del row.tokens[start + (len(row.tokens) - start) // LOOP_REPEATS :]
            row.looped = row.done = True
        elif len(row.tokens) >= row.limit:
            row.done = True

    def _words(self, row: _Row, samples: int, language: str) -> tuple[Word, ...]:
        """Return the words with their times; a text that was cut off ends where its last token was heard."""
        frames = samples * 1000 // SAMPLE_RATE // FRAME_MS
        starts = token_starts(np.stack(row.attention[: len(row.tokens) + 1])[:, :, :frames])
        if len(starts) == len(row.tokens):
            starts.append(frames)
        pieces = [self.vocabulary.raw(token) for token in row.tokens]
        return words(pieces, starts, language) if len(starts) > len(pieces) else ()

    def _transcript(self, row: _Row, samples: int, languages: Floats, chosen: int, no_speech: float) -> Transcript:
        text = self.vocabulary.text(row.tokens).strip()
        favourite = int(languages.argmax())
        return Transcript(
            text=text,
            language=self._language_names[chosen],
            probability=float(languages[chosen]),
            detected=self._language_names[favourite],
            detected_probability=float(languages[favourite]),
            no_speech=no_speech,
            logprob=row.logprob / max(row.steps, 1),
            compression=compression_ratio(text),
            tokens=len(row.tokens),
            looped=row.looped,
            words=self._words(row, samples, self._language_names[chosen]),
        )


class WhisperModel:
    """Encoder and decoder together. Not thread-safe."""

    def __init__(self, directory: Path, threads: int = 1) -> None:
        """Load the model in a directory; raises OSError or ValueError."""
        self._encoder = WhisperEncoder(directory, threads)
        self._decoder = WhisperDecoder(directory, threads)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._decoder.vocabulary

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        """Return each clip's transcript. All clips get the longest one's window, so batch clips with equal windows.

        A clip longer than LONGEST_S is cut. Raises ValueError for a language that the model does not know.
        """
        if not clips:
            return []
        window = max(window_seconds(len(clip.samples)) for clip in clips)
        return self._decoder.decode(clips, self._encoder.encode(features(clips, window)))
