"""Clean-up of a recogniser's text: spaces, control characters, and traditional Chinese characters."""

import unicodedata
from collections.abc import Sequence
from functools import cache

from opencc import OpenCC

from inference.speech.word_times import Word

MAX_CHARACTERS = 1000


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def tidy(text: str, lang: str) -> str:
    """Return `text` on one line, in simplified Chinese, without control characters, cut at MAX_CHARACTERS."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(visible.split()).replace("\N{REPLACEMENT CHARACTER}", "")[:MAX_CHARACTERS]
    return str(_simplifier().convert(line)) if lang == "zh" else line


def words_of(text: str, words: Sequence[Word]) -> tuple[Word, ...]:
    """Return `words` in the spelling of `text`, the tidy text of all of them; nothing if they don't fit together."""
    spoken = "".join(word.text for word in words).strip()
    if len(spoken) != len(text):
        return ()
    found: list[Word] = []
    at = 0
    for index, word in enumerate(words):
        part = word.text.lstrip() if index == 0 else word.text
        found.append(Word(text[at : at + len(part)], word.start_ms, word.end_ms))
        at += len(part)
    return tuple(found)
