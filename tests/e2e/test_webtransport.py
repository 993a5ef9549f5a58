"""Signaling over WebTransport in real browsers: used if it opens, otherwise replaced by WebSocket."""

import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.test_without_udp import without_udp
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page

CARRIED = "sdkPage.room.carrier"
NO_WEBSOCKET = """
void (globalThis.WebSocket = Object.assign(class extends EventTarget { close() {} },
  {CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3}))
"""
CHATS = """
(() => { window.chats = []; sdkPage.room.addEventListener('chat', ({detail}) => chats.push(detail.text)); })()
"""


async def test_browsers_signal_by_webtransport_and_fall_back(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Quick")
    hosts = deployment.network.hosts
    async with (
        chromium(hosts[0].prefix) as browser,
        firefox(hosts[1].prefix) as frida,
        chromium(hosts[2].prefix) as other,
    ):
        ada, grace = await open_page(browser, deployment.url_for(0)), await open_page(other, deployment.url_for(2))
        await frida.navigate(deployment.url_for(1))
        with without_udp(deployment.network, 2):
            for page in (ada, frida):  # without a network in between either may be first
                await page.evaluate(NO_WEBSOCKET)
            for page, name in ((ada, "Ada"), (frida, "Frida"), (grace, "Grace")):
                await sdk_page.join(page, meeting, name)
                await page.evaluate(CHATS)
            carried = [await page.evaluate(CARRIED) for page in (ada, frida, grace)]
            assert carried == ["webtransport", "webtransport", "websocket"]
            for page, text in ((ada, "from Ada"), (frida, "from Frida"), (grace, "from Grace")):
                await page.evaluate(f"sdkPage.room.chat('{text}')")
            await ada.wait_for_function("() => chats.length === 3")
            await frida.until("chats.length === 3")
            await ada.evaluate("sdkPage.room.leave()")
            await grace.wait_for_function("() => sdkPage.room.roster.participants.size === 2")


@pytest.mark.parametrize("code", ["removed"])
async def test_why_a_session_ended_is_told(deployment: Deployment, code: str) -> None:
    meeting = await deployment.admin.create_meeting("Removed")
    async with chromium(deployment.network.hosts[0].prefix) as browser:
        ada = await open_page(browser, deployment.url_for(0))
        await ada.evaluate(NO_WEBSOCKET)
        await sdk_page.join(ada, meeting, "Ada")
        assert await ada.evaluate(CARRIED) == "webtransport"
        participant = await ada.evaluate("sdkPage.room.participant")
        await deployment.admin.request("POST", f"/meetings/{meeting}/participants/{participant}/remove", {})
        await ada.wait_for_function("() => sdkPage.room.connection.state === 'closed'")
        assert await ada.evaluate("sdkPage.room.connection.code") == code
