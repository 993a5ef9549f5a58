"""Reference pictures of all screens: at three widths, in two themes and two languages, a quarter of their size.

Texts are shown in fonts of this repository, so that machines with other fonts draw the same, and the clock stands
still. Pictures are compared in squares of 16 pixels, whose mean colour differs little between releases of Chromium.
What moves by itself is hidden.
"""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Page

from tests.web.scripted import ScriptedServer

REFERENCES = Path(__file__).parent / "references"
DIFFERENCES = Path(__file__).parents[2] / "build" / "differences"
MODE = os.environ.get("PARLEY_REFERENCES", "")
"""`renew` writes the references that differ; `all` compares all, the default only the widest in the first theme."""
WIDTHS = {390: 844, 768: 1024, 1440: 900}
THEMES = ("light", "dark")
_FONTS = Path(__file__).parents[2] / "recorder" / "compose" / "fonts"
_FAMILIES = {"reference-latin": "DejaVuSans.ttf", "reference-han": "DroidSansFallback.ttf"}
_FACES = "".join(f"@font-face {{font-family: {name}; src: url(/{name}.ttf)}}" for name in _FAMILIES)
_STYLE = f"{_FACES} * {{font-family: {', '.join(_FAMILIES)} !important}}"
_FONTS_SCRIPT = f"""
addEventListener('DOMContentLoaded', () => {{
  const style = document.createElement('style');
  style.textContent = {_STYLE!r};
  document.head.append(style);
}});
"""
# What moves or goes away by itself, emoji, which every system draws in its own way, and codes of changing addresses.
_HIDDEN = """
#toasts, video, .meter, .cheers, .tile-reaction, .tile-statistics, .reaction-button, .qr-code {
  visibility: hidden !important;
}
"""
_STILL = """
async () => {
  await document.fonts.ready;
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
}
"""
_REDUCED = 4
_SQUARE = 4  # reduced pixels
_CLOSE = 16
"""The largest difference of a square's mean colour, in any channel, that counts as equal."""
_FEW = 5
"""The number of squares that may differ."""
Picture = NDArray[np.uint8]
Place = tuple[int, str]


async def use_fonts(view: Page, server: ScriptedServer) -> None:
    """Show every text of later pages in the fonts of this repository."""
    server.extra.update({f"/{name}.ttf": _FONTS / file for name, file in _FAMILIES.items()})
    await view.add_init_script(_FONTS_SCRIPT)


async def compare(view: Page, screen: str, theme: str, language: str) -> list[str]:
    """Compare the screen with its references in a theme; return the differences, as sentences."""
    widths = list(WIDTHS) if MODE else [max(WIDTHS)] if theme == THEMES[0] else []
    before = view.viewport_size
    assert before is not None
    found = []
    for width in widths:
        now = await _shown(view, width)
        file = REFERENCES / language / f"{screen}-{theme}-{width}.webp"
        differences = _differences(file, now)
        if MODE != "renew":
            found += differences
        elif differences:
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(now).save(file, lossless=True, method=6)
    if view.viewport_size != before:
        await view.set_viewport_size(before)
    return found


async def _shown(view: Page, width: int) -> Picture:
    size = {"width": width, "height": WIDTHS[width]}
    if view.viewport_size != size:
        await view.set_viewport_size(size)
        await view.wait_for_timeout(100)
    await view.evaluate(_STILL)
    data = await view.screenshot(type="jpeg", quality=95, style=_HIDDEN, animations="disabled", caret="hide")
    with Image.open(BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB").reduce(_REDUCED))


def _differences(file: Path, now: Picture) -> list[str]:
    name = f"{file.parent.name}/{file.stem}"
    if not file.exists():
        return [f"{name}: there is no reference; `make references` makes it"]
    with Image.open(file) as reference:
        kept = np.asarray(reference.convert("RGB"))
    apart = np.abs(_squares(kept) - _squares(now)).max(axis=2) > _CLOSE
    if apart.sum() <= _FEW:
        return []
    marked = np.kron(apart, np.ones((_SQUARE, _SQUARE), dtype=bool))[: now.shape[0], : now.shape[1], None]
    pink = now // 2 + np.array([127, 0, 80], np.uint8)
    shown = DIFFERENCES / file.parent.name / f"{file.stem}.png"
    shown.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.concatenate([kept, now, np.where(marked, pink, now)], axis=1)
    Image.fromarray(sheet).save(shown)
    return [f"{name} differs in {apart.sum()} squares: see {shown}. If it is right, `make references` renews it."]


def _squares(picture: Picture) -> NDArray[np.float64]:
    """Return the mean colour of each square."""
    whole = np.pad(picture, [(0, -size % _SQUARE) for size in picture.shape[:2]] + [(0, 0)], mode="edge")
    height, width = (size // _SQUARE for size in whole.shape[:2])
    parts = whole.astype(np.float64).reshape(height, _SQUARE, width, _SQUARE, 3)
    means: NDArray[np.float64] = parts.mean(axis=(1, 3))
    return means
