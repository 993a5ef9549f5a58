"""Shared parts of the page's tests: a page under the server's policy, and the steps into a call."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from sfu.api import signaling_values
from tests.web.conftest import open_page
from tests.web.scripted import ScriptedServer, Session

SUMMARY = {
    "id": "m1",
    "title": "Design review",
    "status": "active",
    "passcode_required": False,
    "guests": True,
    "locked": False,
    "role": None,
}
USER = {"id": "u1", "username": "ada", "display_name": "Ada", "role": "user"}
MEETING = SUMMARY | {"created_at": "2026-11-25T10:00:00Z", "scheduled_start": None}
SETTINGS = {"locked": False, "lobby": True, "mute_on_entry": False, "webinar": False}
SETTINGS |= {"may_share": True, "may_chat": True, "may_record": False, "may_unmute": True, "may_rename": True}
RECORDING = {
    "id": "r1",
    "meeting": "m1",
    "title": "Design review",
    "film": None,
    "started_at": "2026-11-25T10:00:00Z",
    "duration_ms": 61_000,
    "bytes": 1_000_000,
    "state": "ready",
    "stalled": None,
    "problems": [],
    "held": False,
    "deleted_at": "2026-12-25T10:00:00Z",
}
CAPTIONS = [
    {
        "utterance": f"u{start}",
        "participant": person,
        "name": name,
        "start_ms": start,
        "end_ms": start + 4000,
        "text": text,
        "words": [],
    }
    for person, name, start, text in (
        ("p1", "Ada", 1_000, "Shall we begin with the budget?"),
        ("p2", "Grace Hopper", 8_000, "It is on the second page."),
        ("p1", "Ada", 15_000, "Then the plan for the spring, which is still open."),
        ("p2", "Grace Hopper", 40_000, "The budget holds, I think: <b>twice</b> as much as last year."),
    )
]
STORAGE = {"healthy": True, "problem": "", "free_bytes": None, "days_left": None, "used_bytes": 0, "quota_bytes": None}
GRACE = signaling_values.ParticipantInfo(participant="p2", name="Grace Hopper")


WIDE = (1280, 800)
PHONE = (390, 844)
at_both_sizes = pytest.mark.parametrize("view", [WIDE, PHONE], ids=["wide", "phone"], indirect=True)


@pytest_asyncio.fixture(loop_scope="module")
async def view(chromium: Browser, server: ScriptedServer, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page, wide unless parametrized. A violation of the server's policy fails the test."""
    width, height = getattr(request, "param", WIDE)
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    server.answers["GET", "/meetings/m1"] = (200, MEETING | {"settings": SETTINGS})
    async with open_page(chromium, viewport={"width": width, "height": height}) as page:
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        yield page
        assert not complaints, complaints


async def enter(view: Page, server: ScriptedServer, **room: Any) -> Session:
    """Join as Ada, with Grace there."""
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    session = await server.session()
    people = [signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
    await session.welcome(**({"participants": people} | room))
    await expect(view.locator("[data-id=p2]")).to_be_visible()
    return session


async def fits(view: Page) -> None:
    before = view.viewport_size
    assert before is not None
    for width, height in (WIDE, PHONE):
        await view.set_viewport_size({"width": width, "height": height})
        size = await view.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] <= size[1], f"the page scrolls sideways at {width} pixels"
    await view.set_viewport_size(before)


async def act(view: Page, action: str) -> None:
    """Use the toolbar like a person: on a narrow screen, some buttons are behind "More"."""
    button = view.locator(f"[data-action={action}]")
    if not await button.is_visible():
        await view.get_by_role("button", name="More", exact=True).click()
    await button.click()


async def choose(view: Page, name: str, value: str) -> None:
    """Choose an option in the open dialog, and close it."""
    await view.locator(f"dialog label:has(input[name={name}][value={value}])").click()
    await view.locator("dialog .primary").click()
