"""Times of words: which part of a clip each token of a transcript was heard in.

Some of Whisper's attention heads follow the speech: with each token they look at where it is spoken. Their attention is
a matrix of tokens and frames; the best path through it, forward in both, gives each token its frames. The method is
that of Whisper's authors (openai/whisper, `timing.py`), but each token gets at least one frame, so that the path is one
step per frame instead of dynamic time warping. It needs only numpy, so it runs in Triton's Python backend as well.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FRAME_MS = 20
_LONGEST_MS = 1_200
"""Maximum length of a word: a longer one has the pause after it in its frames."""
_WITHOUT_SPACES = frozenset(("zh", "yue", "ja", "th", "lo", "my", "km", "bo"))
"""Languages that put no spaces between words: each character is a word here."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word with the space before it and the punctuation after it, and its time in its clip."""

    text: str
    start_ms: int
    end_ms: int


def token_starts(attention: Floats) -> list[int]:
    """Return the frame in which each token begins, the first in frame 0.

    `attention` is [tokens, heads, frames], not negative. Returns nothing if there are fewer frames than tokens.
    """
    count, _, frames = attention.shape
    if count == 0 or frames < count:
        return []
    spread = np.maximum(attention.std(axis=0, keepdims=True), 1e-9)
    scores = ((attention - attention.mean(axis=0, keepdims=True)) / spread).mean(axis=1)
    best = np.full(count, -np.inf)
    best[0] = scores[0, 0]
    moved = np.zeros((frames, count), bool)
    for frame in range(1, frames):
        before = np.concatenate(([-np.inf], best[:-1]))
        moved[frame] = before > best
        best = np.maximum(best, before) + scores[:, frame]
    starts = [0] * count
    token = count - 1
    for frame in range(frames - 1, 0, -1):
        if moved[frame, token]:
            starts[token] = frame
            token -= 1
    return starts


def words(pieces: Sequence[bytes], starts: Sequence[int], language: str) -> tuple[Word, ...]:
    """Return the words of tokens whose texts are `pieces`, in UTF-8 when joined.

    `starts` has the first frame of each token, and the frame in which the last one ends.
    """
    spaced = language not in _WITHOUT_SPACES
    found: list[Word] = []
    pending, since = b"", 0
    for index, piece in enumerate(pieces):
        if not pending:
            since = starts[index]
        pending += piece
        try:
            text = pending.decode()
        except UnicodeDecodeError:  # the rest of the character is in the next token
            continue
        pending = b""
        end = starts[index + 1] * FRAME_MS
        if found and (_is_mark(text) or (spaced and not text.startswith(" "))):
            found[-1] = Word(found[-1].text + text, found[-1].start_ms, end)
        else:
            found.append(Word(text, since * FRAME_MS, end))
    if pending:
        return ()
    return tuple(Word(one.text, one.start_ms, min(one.end_ms, one.start_ms + _LONGEST_MS)) for one in found)


def _is_mark(text: str) -> bool:
    """Return whether a text is only punctuation, which belongs to the word before it."""
    return all(unicodedata.category(one)[0] in "PZ" for one in text)
