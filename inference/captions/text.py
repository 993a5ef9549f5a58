"""Clean-up of a recogniser's text: spaces, control characters, and traditional Chinese characters."""

import unicodedata
from functools import cache

from opencc import OpenCC

MAX_CHARACTERS = 1000


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def tidy(text: str, lang: str) -> str:
    """Return `text` on one line, in simplified Chinese, without control characters, cut at MAX_CHARACTERS."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(visible.split()).replace("\N{REPLACEMENT CHARACTER}", "")[:MAX_CHARACTERS]
    return str(_simplifier().convert(line)) if lang == "zh" else line
