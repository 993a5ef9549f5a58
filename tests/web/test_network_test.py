"""The test of the network before a call: what figures mean, and what is said if there are none."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling
from tests.web.page_stage import view
from tests.web.scripted import ScriptedServer, Session
from tests.web.test_arithmetic import call

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = {"way": "udp", "roundTripMs": 20, "jitterMs": 4, "lossUp": 0, "lossDown": 0, "up": 1_700_000, "down": 1_690_000}
GOOD |= {"upIsAll": True, "downIsAll": True, "isDeviceBusy": False}
TEST = {"sender": "s", "receiver": "r", "ice_servers": []}


@pytest.mark.parametrize(
    ("seen", "grade", "cause"),
    [
        ({}, "good", None),
        ({"roundTripMs": None}, "good", None),
        ({"up": 700_000}, "fair", "up"),
        ({"up": 120_000}, "sound", "up"),
        ({"up": 20_000}, "poor", "up"),
        ({"up": 700_000, "isDeviceBusy": True}, "fair", "device"),
        ({"down": 250_000}, "sound", "down"),
        ({"lossDown": 0.05}, "fair", "loss"),
        ({"lossUp": 0.3, "down": 700_000}, "poor", "loss"),
        ({"roundTripMs": 900}, "sound", "delay"),
        ({"jitterMs": 80}, "fair", "jitter"),
    ],
)
async def test_the_worst_figure_decides(page: Page, seen: dict[str, Any], grade: str, cause: str | None) -> None:
    found = await call(page, "/app/network-verdict.js", "return module.verdictOf(argument);", GOOD | seen)
    assert found == {"grade": grade, "cause": cause}


def second(up: float, down: float, loss: float = 0, lost_below: float = 0, limit: str = "none") -> dict[str, Any]:
    """Return what both ends read in one second."""
    sent = {"bitrateOut": up, "lossOut": loss, "roundTripMs": 30, "outgoing": [{"limitedBy": limit}]}
    incoming = [{"media": "audio", "jitterMs": 6}, {"media": "video", "jitterMs": 90}]
    return {
        "sent": sent,
        "received": {"bitrateIn": down, "lossIn": lost_below, "roundTripMs": 40, "incoming": incoming},
    }


async def figures(page: Page, *seconds: dict[str, Any]) -> Any:
    return await call(page, "/app/network-test.js", "return module.figuresOf(argument, 'udp');", list(seconds))


async def test_no_more_is_claimed_than_was_seen(page: Page) -> None:
    free = await figures(page, second(4e5, 3e5), second(1.7e6, 1.5e6), second(1.6e6, 1.6e6), second(1.5e6, 1.5e6))
    # One second may be a burst, so the second best counts.
    assert (free["up"], free["down"], free["upIsAll"], free["downIsAll"]) == (1.6e6, 1.5e6, True, True)
    thin = await figures(page, *[second(5e5, 2e5, limit="bandwidth")] * 4)
    assert (thin["up"], thin["down"], thin["upIsAll"], thin["downIsAll"]) == (5e5, 2e5, False, False)
    # Whatever held it back: little was sent, so nothing says that more would have arrived.
    idle = await figures(page, *[second(5e5, 5e5)] * 4)
    assert (idle["upIsAll"], idle["downIsAll"]) == (False, False)


async def test_what_is_lost_on_the_way_up_counts_once(page: Page) -> None:
    found = await figures(page, *[second(1e6, 8e5, loss=0.1, lost_below=0.15)] * 4)
    assert found["up"] == pytest.approx(9e5)
    assert (found["lossUp"], found["lossDown"]) == (pytest.approx(0.1), pytest.approx(0.05))
    assert (found["jitterMs"], found["roundTripMs"]) == (6, 40)


async def open_test(view: Page, server: ScriptedServer) -> None:
    await view.goto(f"{server.url}/m/m1")
    await view.locator("[data-action=network]").click()


async def test_a_refused_test_says_why(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/network-tests"] = (429, {"code": "too_many_requests", "detail": "Too many attempts."})
    await open_test(view, server)
    await expect(view.locator(".network-verdict")).to_contain_text("Too many attempts.")
    # The form behind it is as it was.
    await view.keyboard.press("Escape")
    await expect(view.get_by_label("Your name")).to_be_enabled()


async def test_a_server_that_lets_nobody_in_is_said(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/network-tests"] = (201, TEST | {"signaling_url": server.signaling_url})
    await open_test(view, server)
    session = await server.session()
    await session.send(signaling.Hello(v=1, versions=(1,), node="test"))
    await session.expect(signaling.Join)
    await session.send(signaling.Error(code="ended", detail="The meeting has ended.", fatal=True))
    await session.socket.close(4001, "ended")
    await expect(view.locator(".network-verdict")).to_contain_text("The media server does not respond")


async def test_a_network_without_media_is_said(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/network-tests"] = (201, TEST | {"signaling_url": server.signaling_url})
    await view.clock.install()
    await open_test(view, server)
    sessions: list[Session] = [await server.session(), await server.session()]
    joins = [await session.welcome() for session in sessions]
    assert {join.token for join in joins} == {"s", "r"}
    await expect(view.locator("dialog progress")).to_be_visible()
    await view.clock.fast_forward(15_000)
    await expect(view.locator(".network-verdict")).to_contain_text("Sound and video do not get through")
    await expect(view.get_by_role("button", name="Test again")).to_be_visible()
