"""The home page of an account: upcoming meetings, planning and changing them, and finding all of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp.web
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.web.page_stage import MEETING, USER, at_both_sizes, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""The page's time: in the last minutes of a real day, the next meeting would be tomorrow's."""
OWN = MEETING | {"host": USER["id"], "role": "host", "time_zone": "UTC", "recurrence": None}


@pytest_asyncio.fixture(loop_scope="module")
async def home(view: Page, server: ScriptedServer) -> Page:
    """The home of Ada, with a meeting that runs and one that follows in ten minutes."""
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    await view.clock.set_fixed_time(NOW)
    start = (NOW + timedelta(minutes=10)).isoformat()
    planned = OWN | {"id": "m2", "title": "Weekly sync", "status": "scheduled", "scheduled_start": start}
    server.answers["GET", "/my/meetings/upcoming"] = (200, {"meetings": [{"meeting": planned, "next_start": start}]})
    server.answers["GET", "/meetings"] = _listed
    await view.goto(server.url)
    await expect(view.locator(".meeting-row")).to_have_count(2)
    return view


def _listed(request: aiohttp.web.Request) -> tuple[int, Any]:
    """Two pages of old meetings, or the one that runs."""
    if request.query.get("status") == "active":
        return 200, {"meetings": [OWN], "next": None}
    text, cursor = request.query.get("search", ""), request.query.get("cursor")
    numbers = range(50, 60) if cursor else range(50)
    titles = [f"Old {number}" for number in numbers if text.lower() in f"old {number}"]
    meetings = [OWN | {"id": title, "title": title, "status": "ended"} for title in titles]
    return 200, {"meetings": meetings, "next": None if cursor or text else "50"}


def sent(server: ScriptedServer, method: str, path: str) -> list[Any]:
    return [body for found, at, body in server.requests if (found, at) == (method, path)]


@at_both_sizes
async def test_what_comes_next_is_shown_and_everything_is_found(home: Page) -> None:
    await expect(home.locator(".meeting-group > h3")).to_have_text(["Now", "Today"])
    await expect(home.get_by_text("in 10 minutes")).to_be_visible()
    await fits(home)
    await home.get_by_role("tab", name="Upcoming").press("ArrowLeft")
    await expect(home.get_by_role("tab", name="All")).to_be_focused()
    await expect(home.locator(".meeting-row")).to_have_count(50)
    await home.get_by_role("button", name="Show older meetings").click()
    await expect(home.locator(".meeting-row")).to_have_count(60)
    await home.get_by_label("Search meetings").fill("Old 7")
    await expect(home.locator(".meeting-title")).to_have_text(["Old 7"])
    await expect(home.get_by_role("button", name="Show older meetings")).to_be_hidden()


async def test_a_meeting_is_planned_in_the_time_of_another_place(home: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings"] = (201, OWN | {"id": "m9", "title": "Review"})
    server.answers["GET", "/server"] = (200, {"registration": "open", "setup_needed": False, "mail": True})
    server.answers["POST", "/meetings/m9/invitations"] = (200, {"ok": True})
    await home.get_by_role("button", name="Schedule").click()
    await home.get_by_label("Title").fill("Review")
    await home.get_by_label("Starts").fill("2027-03-22T09:00")
    await home.get_by_label("Time zone").select_option("Europe/Berlin")
    await home.get_by_label("Length").select_option("90")
    await home.get_by_label("Repeats").select_option("weekly")
    await home.get_by_label("Last day").fill("2027-04-30")
    await home.get_by_role("dialog").get_by_role("button", name="Schedule").click()
    await home.get_by_label("Send by e-mail").fill("grace@example.org, alan@example.org")
    await home.get_by_role("button", name="Send invitations").click()
    await expect(home.get_by_text("2 invitations are on their way.")).to_be_visible()
    (plan,) = sent(server, "POST", "/meetings")
    # Berlin is an hour ahead of UTC in March, and two in April, when summer time holds.
    assert plan["scheduled_start"] == "2027-03-22T08:00:00.000Z"
    assert plan["scheduled_end"] == "2027-03-22T09:30:00.000Z"
    assert (plan["time_zone"], plan["recurrence"]) == ("Europe/Berlin", "FREQ=WEEKLY;UNTIL=20270430T215900Z")
    (invited,) = sent(server, "POST", "/meetings/m9/invitations")
    assert invited == {"emails": ["grace@example.org", "alan@example.org"]}


async def test_a_meeting_is_changed_and_deleted_by_the_keyboard(home: Page, server: ScriptedServer) -> None:
    server.answers["PUT", "/meetings/m2"] = (200, OWN)
    server.answers["DELETE", "/meetings/m2"] = (200, {"ok": True})
    more = home.get_by_role("button", name="More for Weekly sync")
    await more.press("Enter")
    await home.keyboard.press("ArrowDown")
    await expect(home.get_by_role("menuitem", name="Edit")).to_be_focused()
    await home.keyboard.press("Enter")
    await home.get_by_label("Title").fill("Sync")
    await home.get_by_label("Starts").fill("")
    await home.get_by_role("button", name="Save").click()
    await expect(home.get_by_role("dialog")).to_have_count(0)
    (change,) = sent(server, "PUT", "/meetings/m2")
    assert (change["title"], change["scheduled_start"], "passcode" in change) == ("Sync", None, False)
    await more.press("Enter")
    await home.keyboard.press("End")
    await home.keyboard.press("Enter")
    assert sent(server, "DELETE", "/meetings/m2") == []
    await home.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(home.locator("#meetings-title")).to_be_focused()
    assert len(sent(server, "DELETE", "/meetings/m2")) == 1
