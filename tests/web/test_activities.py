"""Polls, questions, the timer and the spotlight on the page."""

import re

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling, signaling_values
from sfu.api.desired_state import SharedView
from sfu.api.join_token import Grants
from tests.web.page_stage import GRACE, act, at_both_sizes, enter, fits, view
from tests.web.screens import ACTIVITIES
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
BASE = "/meetings/m1"
PEOPLE = [signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
PEOPLE.append(signaling_values.ParticipantInfo(participant="p3", name="Linus"))


@at_both_sizes
async def test_polls_and_questions_are_voted_on_and_are_text(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", f"{BASE}/activities"] = (200, ACTIVITIES)
    for path in ("polls/poll1/vote", "questions/q1/vote"):
        server.answers["POST", f"{BASE}/{path}"] = (200, {"ok": True})
    session = await enter(view, server)
    await session.send(signaling.Shared(state=SharedView(activities=1)))
    await expect(view.locator("[data-action=activities]")).to_have_attribute("data-count", "1")
    await act(view, "activities")
    poll = view.locator("[data-poll=poll1]")
    await expect(poll.locator(".poll-count")).to_have_text(["3 · 75%", "1 · 25%"])
    await expect(view.locator("[data-poll=poll2] .poll-count")).to_have_count(0)
    assert await view.evaluate(
        "[typeof hacked, document.querySelectorAll('.activities img, .activities b').length]"
    ) == [
        "undefined",
        0,
    ]
    await poll.get_by_role("button", name="Never").click()
    await view.locator(".question-vote").click()
    await expect(view.locator(".activity-tools:visible")).to_have_count(0)
    await fits(view)
    sent = {path: body for method, path, body in server.requests if method == "POST"}
    assert sent[f"{BASE}/polls/poll1/vote"] == {"options": [1]}
    assert sent[f"{BASE}/questions/q1/vote"] == {"wanted": False}


async def test_hosts_ask_and_time_and_show_somebody_large(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", f"{BASE}/activities"] = (200, {"polls": [], "questions": []})
    server.answers["POST", f"{BASE}/polls"] = (201, {"ok": True})
    for path in ("timer", "spotlight"):
        server.answers["PUT", f"{BASE}/{path}"] = (200, {"ok": True})
    session = await enter(view, server, participants=PEOPLE, grants=Grants(host=True))
    await act(view, "activities")
    await view.get_by_text("New poll").click()
    await view.get_by_label("Question", exact=True).fill("Lunch?")
    await view.get_by_label("Choice 1").fill("Soup")
    await view.get_by_label("Choice 2").fill("Bread")
    await expect(view.get_by_label("Choice 3")).to_be_visible()
    await view.get_by_role("button", name="Start poll").click()
    await view.get_by_role("button", name="5 min", exact=True).click()
    await act(view, "people")
    await view.get_by_role("button", name="More for Linus").click()
    await view.get_by_role("button", name="Spotlight Linus for everybody").click()
    shared = SharedView(spotlight="p3", timer_ends_at=4_000_000_000_000)
    await session.send(signaling.Shared(state=shared))
    await expect(view.locator(".stage .tile")).to_have_attribute("data-id", "p3")
    await expect(view.locator(".call-timer")).to_have_text(re.compile(r"\d+:\d\d:\d\d"))
    sent = {path: body for method, path, body in server.requests if method in {"POST", "PUT"}}
    assert sent[f"{BASE}/polls"] == {"question": "Lunch?", "options": ["Soup", "Bread"], "multiple": False}
    assert sent[f"{BASE}/timer"] == {"seconds": 300}
    assert sent[f"{BASE}/spotlight"] == {"participant": "p3"}
