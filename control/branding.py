"""The operator's brand: name, logo, accent colour and links.

It is inserted into the page's HTML, the app's manifest, and the page that the service worker shows without a server.
"""

import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.pictures import PictureFile

LOGO_PATH = "/brand/logo"
_ICON = "/app/icon.svg"
_TEXT = 4.5  # minimum contrast of text (WCAG 2.2, 1.4.3)
_SEEN = 3.0  # minimum contrast of controls against their background (1.4.11)
_WHITE = (255, 255, 255)
# The backgrounds in tokens.css on which text has the accent colour, in the light theme and in the dark one.
_LIGHT = ((255, 255, 255), (245, 246, 248), (238, 240, 244))
_DARK = ((14, 17, 22), (22, 26, 33), (32, 38, 47))

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """Appearance of the page. `links` are pairs of label and address; `tokens` are from `accent_tokens`."""

    name: str = "Parley"
    logo: PictureFile | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    imprint: str | None = None
    privacy: str | None = None

    @property
    def is_default(self) -> bool:
        return self == Branding()

    def in_html(self, page: str) -> str:
        """Return the page's HTML with the name, the icon and the branding that its scripts read."""
        logo = None if self.logo is None else LOGO_PATH
        facts: dict[str, Any] = {"name": self.name, "logo": logo, "tokens": dict(self.tokens)}
        facts |= {"links": self.links, "imprint": self.imprint, "privacy": self.privacy}
        page = page.replace("Parley", html.escape(self.name))
        if self.logo is not None:
            icon = f'<link rel="icon" href="{LOGO_PATH}" type="{self.logo.media_type}"'
            page = re.sub(r'<link rel="icon" href="[^"]*" type="[^"]*"', icon, page)
            page = page.replace(f'src="{_ICON}"', f'src="{LOGO_PATH}"')
        meta = f'<meta name="brand" content="{html.escape(json.dumps(facts))}" />'
        return page.replace("<title>", f"{meta}<title>", 1)

    def in_manifest(self, manifest: str) -> str:
        """Return the app's manifest with the name."""
        return json.dumps(json.loads(manifest) | {"name": self.name, "short_name": self.name}, ensure_ascii=False)

    def in_worker(self, script: str) -> str:
        """Return the service worker, which keeps the logo too. Its version changes with the brand."""
        mark = hashlib.sha256(repr(self).encode()).hexdigest()[:12]
        script = re.sub(r"(?m)^const VERSION = '(\w+)';$", rf"const VERSION = '\1-{mark}';", script, count=1)
        return script if self.logo is None else script.replace(f"'{_ICON}']", f"'{LOGO_PATH}']", 1)


def accent_tokens(accent: str) -> dict[str, str]:
    """Return the page's colour tokens (tokens.css) for an accent such as #3652cf, with a value for each theme.

    Raises ValueError if white text has too little contrast on the colour; the message suggests a darker one.
    """
    fill = _parsed(accent)
    if _contrast(fill, _WHITE) < _TEXT:
        nearest = _until(fill, (0, 0, 0), lambda one: _contrast(one, _WHITE) >= _TEXT)
        raise ValueError(
            f"white text on {accent} has a contrast of {_contrast(fill, _WHITE):.1f}, but needs {_TEXT};"
            f" {_hex(nearest)} has enough"
        )
    light_tint, dark_tint = _mixed(fill, _WHITE, 0.9), _mixed(fill, _DARK[0], 0.78)
    dark_fill = _until(fill, _WHITE, lambda one: all(_contrast(one, ground) >= _SEEN for ground in _DARK[:2]))
    if _contrast(dark_fill, _WHITE) < _TEXT:
        dark_fill = _until(dark_fill, (0, 0, 0), lambda one: _contrast(one, _WHITE) >= _TEXT)
    on_light = _until(fill, (0, 0, 0), lambda one: _reads(one, (*_LIGHT, light_tint)))
    on_dark = _until(fill, _WHITE, lambda one: _reads(one, (*_DARK, dark_tint)))
    pairs = {
        "accent": (on_light, on_dark),
        "accent-fill": (fill, dark_fill),
        "accent-fill-hover": (_mixed(fill, (0, 0, 0), 0.18), _mixed(dark_fill, (0, 0, 0), 0.18)),
        "accent-tint": (light_tint, dark_tint),
    }
    return {name: f"light-dark({_hex(light)}, {_hex(dark)})" for name, (light, dark) in pairs.items()}


def _reads(colour: Colour, grounds: tuple[Colour, ...]) -> bool:
    return all(_contrast(colour, ground) >= _TEXT for ground in grounds)


def _until(colour: Colour, towards: Colour, holds: Callable[[Colour], bool]) -> Colour:
    """Return the mixture of two colours that is closest to `colour` and meets a condition."""
    for step in range(101):
        mixed = _mixed(colour, towards, step / 100)
        if holds(mixed):
            return mixed
    return towards


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _contrast(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parsed(text: str) -> Colour:
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        raise ValueError("not a colour such as #3652cf")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
