"""A silent microphone sends next to nothing (DTX, RFC 7587, section 3.1.3). That is no loss; sound returns at once."""

import asyncio
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from sfu.peers.publish.ingress_stream import IngressStream
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.waiting import eventually

SPEAK = """
(async () => {
  const sound = new AudioContext(), tone = new OscillatorNode(sound, {frequency: 440});
  const gain = new GainNode(sound, {gain: 0.5}), output = sound.createMediaStreamDestination();
  tone.connect(gain).connect(output);
  tone.start();
  window.speak = (on) => { gain.gain.value = on ? 0.5 : 0; return true; };
  await sdkPage.room.publish('microphone', output.stream.getAudioTracks()[0]);
  return true;
})()
"""
SECONDS = 5


async def enter(browser: Browser, site: str, h: Host, who: str) -> Page:
    page = await browser.new_page()
    await page.goto(site)
    await sdk_page.join_node(page, h.signaling_url, h.control.token("r", who))
    return page


def sound_of(h: Host) -> IngressStream | None:
    publish = h.node.rooms["r"].participants["ann"].publish
    return next(iter(publish.streams.values()), None) if publish is not None else None


async def heard(page: Page) -> dict[str, Any]:
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == "audio" and row["packetsReceived"]]
    return rows[0] if rows else {}


async def test_silence_is_no_loss(tmp_path: Path) -> None:
    flags = [LOOPBACK_FLAG]
    async with host(tmp_path) as h, sdk_page.sdk_site() as site, chromium(flags=flags) as running:
        bob = await enter(running.browser, site, h, "bob")
        ann = await enter(running.browser, site, h, "ann")
        await ann.evaluate(SPEAK)
        stream = await eventually(lambda: sound_of(h), 30)
        await eventually(lambda: stream.packets > 100, 30)
        await ann.evaluate("speak(false)")
        await eventually(lambda: 0 < stream.frame_rate < 10, 30)
        asked, packets, before = h.node.context.counters["nacks_sent"], stream.packets, await heard(bob)
        losses = []
        for _ in range(SECONDS):
            await asyncio.sleep(1)
            losses.append(stream.fraction_lost)
            assert stream.active(time.monotonic_ns())
        sparse, silent = (stream.packets - packets) / SECONDS, await heard(bob)
        await ann.evaluate("speak(true)")
        await eventually(lambda: stream.frame_rate > 40, 30)
        loud = await heard(bob)
        print(f"{sparse:.1f} packets a second in silence")
        assert sparse < 10
        assert h.node.context.counters["nacks_sent"] == asked
        assert not any(losses)
        assert silent["packetsLost"] == before["packetsLost"]
        assert silent["totalSamplesReceived"] - before["totalSamplesReceived"] > SECONDS * 48_000 * 0.9
        assert silent["totalAudioEnergy"] - before["totalAudioEnergy"] < 0.01
        assert loud["totalAudioEnergy"] - silent["totalAudioEnergy"] > 0.01
        assert concealed(loud) - concealed(before) < 48_000 * 0.1


def concealed(row: dict[str, Any]) -> int:
    """Samples that were made up where there should have been sound."""
    return int(row.get("concealedSamples", 0)) - int(row.get("silentConcealedSamples", 0))
