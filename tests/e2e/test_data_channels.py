"""Real browsers and a client of ours exchange data over data channels in both directions, reliable and lossy."""

import asyncio
from typing import Any

from parley_client import Room
from tests.e2e.conftest import Deployment
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page
from tests.support.waiting import eventually

LISTEN = """
(() => {
  const heard = window.heard = [];
  sdkPage.room.addEventListener('data', ({detail}) => heard.push({...detail,
    payload: detail.payload.length > 100 ? detail.payload.length : new TextDecoder().decode(detail.payload)}));
})()
"""


async def heard(page: sdk_page.Evaluates, count: int, seconds: float = 30) -> list[tuple[str, Any, bool]]:
    """Return (topic, payload or its length, reliable) of each message, once a number of messages has arrived."""
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while len(rows) < count:
            rows = await page.evaluate("window.heard")
            await asyncio.sleep(0.05)
    return sorted(((row["topic"], row["payload"], row["reliable"]) for row in rows), key=str)


async def say(page: sdk_page.Evaluates, payload: str, options: str) -> None:
    """Publish; a lossy message is dropped until the channel is open, so it is tried until it goes."""
    await eventually(lambda: page.evaluate(f"sdkPage.room.publishData({payload}, {options})"))


def _ready(room: Room) -> bool:
    peer = room._subscribe.peer if room._subscribe else None
    return peer is not None and peer.data is not None and peer.data.is_open


async def test_browsers_exchange_data(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Data")
    hosts = deployment.network.hosts
    async with chromium(hosts[0].prefix) as browser, firefox(hosts[1].prefix) as frida:
        ada = await open_page(browser, deployment.url_for(0))
        await frida.navigate(deployment.url_for(1))
        for page, name in ((ada, "Ada"), (frida, "Frida")):
            await sdk_page.join(page, meeting, name)
            await page.evaluate(LISTEN)
        invitation = await deployment.admin.join(meeting, "Ours")
        url = deployment.admin.signaling_url(invitation)
        async with Room(url, token=invitation.token, verify_tls=False, data=True) as ours:
            await eventually(lambda: _ready(ours), 30)
            for page, topic in ((ada, "ada"), (frida, "frida")):
                await say(page, "'sure'", f"{{topic: '{topic}'}}")
                await say(page, "new Uint8Array(60000)", f"{{topic: '{topic}'}}")
                await say(page, "'quick'", f"{{topic: '{topic}', reliable: false}}")
            for page, topic in ((ada, "frida"), (frida, "ada")):
                said = {(topic, "sure", True), (topic, 60_000, True), (topic, "quick", False)}
                assert set(await heard(page, 3)) == said
            await eventually(lambda: len(ours.heard) == 6, 30)
            frida_id = await frida.evaluate("sdkPage.room.participant")
            ours.say(b"for frida alone", frida_id, topic="ours")
            ours.say(b"for all, at once", topic="ours", reliable=False)
            assert (await heard(frida, 5))[-2:] == [
                ("ours", "for all, at once", False),
                ("ours", "for frida alone", True),
            ]
            assert (await heard(ada, 4))[-1] == ("ours", "for all, at once", False)
