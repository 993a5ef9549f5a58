"""Looks of every screen in each language and theme: no complaint of axe-core, no unwanted change, readable colours.

`PARLEY_PICTURES=folder` saves a picture of each, at three widths.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

import web
from tests.web import references
from tests.web.conftest import open_page
from tests.web.references import THEMES, WIDTHS
from tests.web.screens import NOW, inside, outside, prepare
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
LANGUAGES = {"en-GB": "en", "zh-CN": "zh-CN"}
PICTURES = os.environ.get("PARLEY_PICTURES")
# Every rule in the first theme, and in the others those whose result depends on colours. No rule here needs the
# text of style sheets, which axe-core would preload.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
RULES = {theme: {"type": "rule", "values": COLOURS} for theme in THEMES} | {THEMES[0]: {"type": "tag", "values": TAGS}}
AXE = """
async (runOnly) => {
  const found = await axe.run(document, {preload: {assets: ['media']}, resultTypes: ['violations'], runOnly});
  return found.violations.map(({id, nodes}) => `${id}: ${nodes.slice(0, 3).map(({html, failureSummary}) =>
    `${html.slice(0, 160)} (${failureSummary.split('\\n')[1] ?? ''})`).join('; ')}`);
}
"""
# Text and what it stands on, with the contrast that WCAG 2.2 wants of the pair (1.4.3; 1.4.11 for lines of controls).
GROUNDS = ("ground", "surface", "surface-2")
PAIRS = [
    *((text, ground, 4.5) for text in ("text", "text-2", "accent", "bad") for ground in GROUNDS),
    *(("on-fill", fill, 4.5) for fill in ("accent-fill", "accent-fill-hover", "bad-fill", "bad-fill-hover")),
    *((colour, f"{colour}-tint", 4.5) for colour in ("accent", "good", "warn", "bad")),
    *(("text", f"{tint}-tint", 4.5) for tint in ("accent", "warn", "bad")),
    *(("line-control", ground, 3.0) for ground in ("ground", "surface")),
    ("accent", "ground", 3.0),
]  # fmt: skip
RATIOS = """
(pairs) => {
  const probe = document.body.appendChild(document.createElement('i'));
  const luminance = (name) => {
    probe.style.color = `var(--${name})`;
    const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((value) => {
      const part = Number(value) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratios = pairs.map(([a, b]) => {
    const [x, y] = [luminance(a), luminance(b)].sort((one, other) => other - one);
    return (x + 0.05) / (y + 0.05);
  });
  probe.remove();
  return ratios;
}
"""


@pytest.fixture(scope="module")
def axe() -> str:
    subprocess.run(["sh", web.ROOT / "install.sh"], check=True, capture_output=True)
    return (web.ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def wear(view: Page, theme: str, contrast: str = "") -> None:
    """Show a theme at once, without motion in between."""
    await view.evaluate(
        "([theme, contrast]) => Object.assign(document.documentElement.dataset, {theme, contrast})", [theme, contrast]
    )


async def picture(view: Page, name: str) -> None:
    if PICTURES is None:
        return
    before = view.viewport_size
    for width, height in WIDTHS.items():
        await view.set_viewport_size({"width": width, "height": height})
        await view.wait_for_timeout(150)
        await view.screenshot(path=Path(PICTURES) / f"{name}-{width}.png")
    if before:
        await view.set_viewport_size(before)


@pytest.mark.parametrize("locale", LANGUAGES)
async def test_nothing_stands_in_the_way_of_anybody(
    chromium: Browser, server: ScriptedServer, axe: str, locale: str
) -> None:
    server.root = web.ROOT  # a walk imports one of its modules
    prepare(server)
    found: list[str] = []
    changed: list[str] = []
    # axe-core is no part of the page: its policy does not hold for it.
    options: dict[str, Any] = {"locale": locale, "bypass_csp": True, "reduced_motion": "reduce", "timezone_id": "UTC"}
    async with open_page(chromium, viewport={"width": 1440, "height": 900}, **options) as view:
        await view.add_init_script(axe)
        await references.use_fonts(view, server)
        await view.clock.set_fixed_time(NOW)
        for walk in (outside, inside):
            async for name in walk(view, server):
                assert await view.evaluate("document.documentElement.lang") == LANGUAGES[locale]
                untranslated = await view.evaluate("document.body.innerText.match(/\\b[a-z-]+\\.[a-z]+-[a-z-]+\\b/g)")
                assert untranslated is None, (name, untranslated)
                for theme in THEMES:
                    await wear(view, theme)
                    if theme == THEMES[0] or locale == next(iter(LANGUAGES)):  # colours are the same in every language
                        violations = await view.evaluate(AXE, RULES[theme])
                        found += [f"{name}, {theme}, {locale}: {one}" for one in violations]
                    changed += await references.compare(view, name, theme, LANGUAGES[locale])
                    await picture(view, f"{name}-{theme}-{LANGUAGES[locale]}")
    assert not found + changed, "\n".join(found + changed)


async def test_colours_can_be_read(chromium: Browser, server: ScriptedServer) -> None:
    async with open_page(chromium) as view:
        await view.goto(f"{server.url}/nowhere")
        low = []
        for theme in THEMES:
            for contrast, factor in (("", 1.0), ("more", 1.4)):
                await wear(view, theme, contrast)
                ratios = await view.evaluate(RATIOS, [[a, b] for a, b, _ in PAIRS])
                low += [
                    f"{theme} {contrast}: {a} on {b} is {ratio:.2f}"
                    for (a, b, wanted), ratio in zip(PAIRS, ratios, strict=True)
                    if ratio < wanted * (factor if wanted > 3 else 1)
                ]
        assert not low, "\n".join(low)
