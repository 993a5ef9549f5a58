"""Result of a recogniser, and calculations on clips and tokens."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from inference.speech.word_times import Word

SAMPLE_RATE = 16_000
WINDOWS_S = (10, 15, 20, 25, 30)
LONGEST_S = 28
LOOP_REPEATS = 4
_PADDING_S = 4
_LOOP_PERIOD = 12


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of a clip, and its certainty.

    `probability` is the model's own for `language`, `detected` its favourite with its probability. `no_speech` is the
    probability that nobody speaks, `logprob` the mean of the tokens' log probabilities, `compression` the text's bytes
    per compressed byte (a text above about 2.4 repeats itself). `looped`: decoding was stopped in a loop. `words` have
    the text in parts with their times in the clip, if these are known.
    """

    text: str
    language: str
    probability: float
    detected: str
    detected_probability: float
    no_speech: float
    logprob: float
    compression: float
    tokens: int
    looped: bool
    words: tuple[Word, ...] = ()


def window_seconds(samples: int) -> int:
    """Return the window that a clip is padded to: max(10 s, clip + 4 s), rounded up to one of WINDOWS_S."""
    needed = samples / SAMPLE_RATE + _PADDING_S
    return next((window for window in WINDOWS_S if window >= needed), WINDOWS_S[-1])


def loop_start(tokens: Sequence[int]) -> int | None:
    """Return the index at which a loop begins that repeats LOOP_REPEATS times up to the end of `tokens`, or None."""
    for period in range(1, _LOOP_PERIOD + 1):
        span = period * LOOP_REPEATS
        if len(tokens) < span:
            return None
        tail = tokens[-span:]
        if all(tail[index] == tail[index % period] for index in range(period, span)):
            return len(tokens) - span
    return None


def compression_ratio(text: str) -> float:
    """Return the UTF-8 bytes of `text` per zlib-compressed byte."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0
