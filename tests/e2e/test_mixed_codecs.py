"""A codec that a subscriber cannot decode: the publisher's browser is asked to send VP8 as well, and does so."""

import asyncio
import time
from typing import Any

from tests.e2e.conftest import Deployment
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page

NO_AV1 = {"media.webrtc.codec.video.av1.enabled": False}
SECONDS = 30
TO_AV1 = "sdkPage.room.publish('camera', sdkPage.room.local('camera').mediaTrack, {codec: 'AV1'}).then(() => true)"
SEES_AV1 = "[...sdkPage.room.roster.tracks.values()].some((track) => track.codec === 'AV1')"
UNSUPPORTED = "sdkPage.states.filter((state) => state.reason === 'codec_unsupported').length"


async def until_decoded(page: sdk_page.Evaluates, codec: str, frames: int = 5) -> dict[str, Any]:
    """Return the video of a codec once so many of its frames are decoded."""
    seen: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                seen = [row for row in await sdk_page.streams(page) if row["kind"] == "video"]
                for row in seen:
                    if row["codec"] == f"video/{codec}" and row.get("framesDecoded", 0) >= frames:
                        return row
                await asyncio.sleep(0.05)
    except TimeoutError:
        states = await page.evaluate("sdkPage.states")
        raise AssertionError(f"no {codec}: {[(r['codec'], r.get('framesDecoded')) for r in seen]}, {states}") from None


async def seconds_until_moving(deployment: Deployment) -> tuple[float, float]:
    """Return how long Firefox waits for moving VP8 of Chromium: on joining beside its H264, then on a change to AV1."""
    meeting = await deployment.admin.create_meeting("Mixed")
    hosts = deployment.network.hosts
    async with chromium(hosts[0].prefix, whole=True) as browser, firefox(hosts[1].prefix, NO_AV1) as frida:
        ada = await open_page(browser, deployment.url_for(0))
        await frida.navigate(deployment.url_for(1))
        await sdk_page.join(ada, meeting, "Ada", {"camera": {"codec": "H264"}})
        began = time.monotonic()
        await sdk_page.join(frida, meeting, "Frida")
        await until_decoded(frida, "VP8")
        beside_h264 = time.monotonic() - began
        began = time.monotonic()
        await ada.evaluate(TO_AV1)
        await frida.until(SEES_AV1)
        before = (await until_decoded(frida, "VP8"))["framesDecoded"]
        await until_decoded(frida, "VP8", before + 5)
        beside_av1 = time.monotonic() - began
        assert await frida.evaluate(UNSUPPORTED) >= 1
        sent = {row["codec"] for row in await sdk_page.streams(ada, "outbound-rtp") if row["kind"] == "video"}
        assert sent == {"video/AV1", "video/VP8"}
    return beside_h264, beside_av1


async def test_a_backup_moves_where_the_codec_is_not_decoded(deployment: Deployment) -> None:
    assert max(await seconds_until_moving(deployment)) < SECONDS
