"""A simulated user who sees only what the screen shows: finds controls by their visible names, and is timed."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Locator, Page, expect

_MORE = "More"


@dataclass(slots=True)
class Person:
    """One page and its user. Each step is noted with its duration and, if a folder is given, with a picture."""

    name: str
    page: Page
    pictures: Path | None = None
    steps: list[tuple[str, float]] = field(default_factory=list)

    async def press(self, name: str, role: str = "button", *, within: str | None = None) -> None:
        """Press the control with this name; on a narrow screen, buttons of the bar may be behind "More"."""
        began = time.monotonic()
        found = self._scope(within).get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
        more = self.page.get_by_role("button", name=_MORE, exact=True)
        await expect(found.or_(more).filter(visible=True).first).to_be_visible()
        if not await found.first.is_visible() and await more.is_visible():
            await more.click()
        await expect(found).to_be_visible()
        await self._fits(found, name)
        await found.click()
        await self._note(f"press {name!r}", began)

    async def unfold(self, text: str) -> None:
        """Open the collapsed section with this title."""
        began = time.monotonic()
        await self.page.get_by_text(text, exact=True).click()
        await self._note(f"press {text!r}", began)

    async def fill(self, label: str, text: str) -> None:
        began = time.monotonic()
        await self.page.get_by_label(label, exact=True).fill(text)
        await self._note(f"fill {label!r}", began)

    async def check(self, label: str) -> None:
        began = time.monotonic()
        await self.page.get_by_role("checkbox", name=re.compile(f"^{re.escape(label)}")).check()
        await self._note(f"check {label!r}", began)

    async def choose(self, label: str, option: str) -> None:
        began = time.monotonic()
        await self.page.get_by_label(label, exact=True).select_option(label=option)
        await self._note(f"choose {option!r}", began)

    async def sees(self, text: str, *, seconds: float = 30) -> None:
        """Wait until a text, or a control of this name, is visible."""
        began = time.monotonic()
        shown = self.page.get_by_text(text).or_(self.page.get_by_label(text)).filter(visible=True).first
        await expect(shown).to_be_visible(timeout=seconds * 1000)
        await self._note(f"see {text!r}", began)

    async def watches(self, *, seconds: float = 120) -> None:
        """Wait until a recording can be played."""
        began = time.monotonic()
        await expect(self.page.locator("video")).to_be_visible(timeout=seconds * 1000)
        await self._note("see the video", began)

    async def open(self, url: str) -> None:
        began = time.monotonic()
        await self.page.goto(url)
        await self._note("open the link", began)

    async def value(self, label: str) -> str:
        return await self.page.get_by_label(label, exact=True).input_value()

    def _scope(self, within: str | None) -> Locator:
        """The open dialog if there is one, else the named region, else the page."""
        return self.page.get_by_label(within) if within else self.page.locator("body")

    async def _fits(self, found: Locator, name: str) -> None:
        """Check that a control is inside the screen."""
        box, size = await found.bounding_box(), self.page.viewport_size
        if box is None or size is None:
            return  # it is being redrawn
        assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 1, f"{name!r} is outside the screen"

    async def _note(self, step: str, began: float) -> None:
        self.steps.append((step, time.monotonic() - began))
        if self.pictures is None:
            return
        letters = re.sub(r"\W+", "-", step).strip("-")[:40]
        await self.page.wait_for_timeout(400)
        await self.page.screenshot(path=self.pictures / f"{self.name}-{len(self.steps):02}-{letters}.png")
