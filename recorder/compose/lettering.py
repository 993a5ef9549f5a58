"""Text in any script: each letter from the first font that has it, first the included ones, then the system's."""

import functools
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

_SHIPPED = tuple(Path(__file__).parent / "fonts" / name for name in ("DejaVuSans.ttf", "DroidSansFallback.ttf"))
_NOWHERE = "\U0010fffe"
"""A noncharacter, which no font has, to find out how a font draws missing letters."""
_PROBE_SIZE = 16
_SECONDS = 10.0
_MAX_LETTERS = 40

Colour = tuple[int, int, int] | tuple[int, int, int, int]


class _Run(NamedTuple):
    text: str
    font: ImageFont.FreeTypeFont


def printable(text: str, most: int = _MAX_LETTERS) -> str:
    """Return the first letters of a name, without those that no font has; "?" if none is left."""
    letters = (letter for letter in text[:most] if unicodedata.category(letter)[0] != "C")
    return "".join(letter for letter in letters if letter.isspace() or _path(letter) is not None).strip() or "?"


def width(text: str, size: int) -> int:
    """Return the width of printable text in pixels."""
    return round(sum(run.font.getlength(run.text) for run in _runs(text, size)))


def draw(canvas: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour) -> None:
    """Draw printable text; `at` is the start of its baseline."""
    x, y = at
    for run in _runs(text, size):
        canvas.text((x, y), run.text, fill=colour, font=run.font, anchor="ls")
        x += run.font.getlength(run.text)


def _runs(text: str, size: int) -> Iterator[_Run]:
    """Yield parts of the text with a font that has all their letters; a space belongs to the part before it."""
    start, path = 0, _path(text[:1]) or _SHIPPED[0]
    for place, letter in enumerate(text):
        found = path if letter.isspace() or _has(path, letter) else _path(letter) or path
        if found != path:
            yield _Run(text[start:place], _font(path, size))
            start, path = place, found
    yield _Run(text[start:], _font(path, size))


@functools.lru_cache(maxsize=4096)
def _path(letter: str) -> Path | None:
    """Return the first font that has a letter, None if there is none."""
    shipped = next((path for path in _SHIPPED if _has(path, letter)), None)
    return shipped or next((path for path in _installed(letter) if _has(path, letter)), None)


@functools.lru_cache(maxsize=4096)
def _has(path: Path, letter: str) -> bool:
    font = _font(path, _PROBE_SIZE)
    shown, nothing = font.getmask(letter), font.getmask(_NOWHERE)
    return shown.size != nothing.size or bytes(shown) != bytes(nothing)


@functools.lru_cache(maxsize=64)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def _installed(letter: str) -> list[Path]:
    """Return the system's fonts with a letter, according to fontconfig; none if that is not installed."""
    program = shutil.which("fc-list")
    if program is None or not letter:
        return []
    asked = [program, f":charset={ord(letter[0]):x}:scalable=true:fontformat=TrueType", "-f", "%{file}\n"]
    try:
        listed = subprocess.run(asked, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return [Path(line) for line in sorted(listed.stdout.splitlines())[:8]]
