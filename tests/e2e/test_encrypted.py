"""End-to-end encryption: browsers with the same passphrase decode each other; others decode nothing but stay in."""

import asyncio
from typing import Any

import pytest

from parley_client import ApiError
from tests.e2e.conftest import Deployment
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page

WORDS = "seven lanterns over the river"
BOTH: dict[str, Any] = {"microphone": True, "camera": {}}


async def decoded(page: sdk_page.Evaluates) -> int:
    return sum(row.get("framesDecoded", 0) for row in await sdk_page.streams(page) if row["kind"] == "video")


async def until_decoded(page: sdk_page.Evaluates, frames: int = 20) -> None:
    async with asyncio.timeout(30):
        while await decoded(page) < frames:
            await asyncio.sleep(0.1)


async def test_the_same_words_make_pictures_and_others_none(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Sealed", e2ee=True)
    hosts = deployment.network.hosts
    async with (
        chromium(hosts[0].prefix, whole=True) as browser,
        firefox(hosts[1].prefix) as frida,
        chromium(hosts[2].prefix, whole=True) as stranger,
    ):
        ada, eve = await open_page(browser, deployment.url_for(0)), await open_page(stranger, deployment.url_for(2))
        await frida.navigate(deployment.url_for(1))
        await sdk_page.join(ada, meeting, "Ada", BOTH, passphrase=WORDS)
        await sdk_page.join(frida, meeting, "Frida", BOTH, passphrase=WORDS)
        await sdk_page.join(eve, meeting, "Eve", passphrase=WORDS + "!")
        await asyncio.gather(until_decoded(ada), until_decoded(frida))
        rows = await sdk_page.streams(eve)
        assert all(row["packetsReceived"] > 0 for row in rows if row["kind"] == "video")
        assert await decoded(eve) == 0
        await eve.wait_for_function("() => sdkPage.room.connection.state === 'connected'")
        with pytest.raises(ApiError, match="encrypted"):
            await deployment.admin.request("POST", f"/meetings/{meeting}/recording/start", {})
