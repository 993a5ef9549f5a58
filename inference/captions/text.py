"""Makes a recogniser's text fit to read: spaces, control characters, Chinese in simplified characters."""

import unicodedata
from functools import cache

from opencc import OpenCC

MAX_CHARACTERS = 1000


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def tidy(text: str, lang: str) -> str:
    """Return `text` in one line, without control characters, at most MAX_CHARACTERS, Chinese simplified."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(visible.split()).replace("\N{REPLACEMENT CHARACTER}", "")[:MAX_CHARACTERS]
    return str(_simplifier().convert(line)) if lang == "zh" else line
