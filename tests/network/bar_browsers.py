"""Bars with a Chromium at both ends: a publisher whose picture costs bits, and a viewer behind a narrow downlink."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from sfu.rooms.bandwidth import Bandwidth
from tests.sfu.server.browser_page import page_server
from tests.sfu.server.harness import Host, eventually, host
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page
from tests.support.link_model import LinkSettings
from tests.support.noisy_camera import write_noisy_video
from tests.support.tun_forwarder import EmulatedHost, emulated_host

MS = 1_000_000
HIGH, LOW = 3_000_000, 600_000
UP = LinkSettings(rate=2_000_000, delay=25 * MS)


def down(rate: int, **changes: Any) -> LinkSettings:
    return LinkSettings(rate=rate, delay=25 * MS, **changes)


@dataclass
class Call:
    """Ann publishes three layers, Bob watches from behind the link."""

    h: Host
    link: EmulatedHost
    bob: Page
    track: str

    @property
    def bandwidth(self) -> Bandwidth:
        subscription = self.h.node.rooms["r"].participants["bob"].subscription
        assert subscription is not None
        assert subscription.egress.bandwidth is not None
        return subscription.egress.bandwidth

    async def estimates(self, seconds: float) -> list[float]:
        """The estimate, ten times a second."""
        found = []
        for _ in range(int(seconds * 10)):
            found.append(self.bandwidth.rate)
            await asyncio.sleep(0.1)
        return found

    async def inbound(self, kind: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = await self.bob.evaluate("inboundStreams()")
        return max((row for row in rows if row["kind"] == kind), key=lambda row: row["packets"])


@asynccontextmanager
async def call(tmp_path: Path, settings: LinkSettings, seed: int, **changes: Any) -> AsyncIterator[Call]:
    video = tmp_path / "noise.mjpeg"
    write_noisy_video(video)
    camera = [LOOPBACK_FLAG, f"--use-file-for-fake-video-capture={video}"]
    with emulated_host(settings, UP, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0", **changes) as h,
            page_server() as near,
            page_server(link.server_address) as far,
            chromium(flags=camera) as publisher,
            chromium(link.prefix) as viewer,
        ):
            bob = await open_page(viewer, far)
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            await bob.evaluate("([url, token]) => join(url, {token})", [url, h.control.token("r", "bob")])
            ann = await open_page(publisher, near)
            await ann.evaluate("([url, token]) => join(url, {token})", [h.signaling_url, h.control.token("r", "ann")])
            publish = "publishTracks(['microphone', 'camera'], {simulcast: true})"
            track = (await ann.evaluate(publish))["camera"]
            yield Call(h, link, bob, track)


async def test_the_estimate_follows_the_downlink(tmp_path: Path) -> None:
    async with call(tmp_path, down(HIGH), 1) as c:
        await eventually(lambda: c.bandwidth.rate >= HIGH * 0.75, 40)
        await asyncio.sleep(5)
        before = await c.inbound("video")
        frozen = before["freezeCount"]
        c.link.change(down=down(LOW))
        falling = await c.estimates(12)
        c.link.change(down=down(HIGH))
        rising = await c.estimates(14)
        reachable = min(HIGH, c.bandwidth.wanted)
        after = await c.inbound("video")
    low = [estimate <= LOW * 1.25 for estimate in falling]
    # Beyond what the publisher's encoder makes of its picture, which depends on the machine, nothing is probed.
    high = [estimate >= reachable * 0.75 for estimate in rising]
    kilobits = [int(estimate / 1000) for estimate in falling[::5] + rising[::5]]
    print(f"kbit/s each half second: {kilobits}, {after['freezeCount'] - frozen} freezes")
    assert any(low[:40])
    assert any(high[:120])


async def test_a_narrow_downlink_keeps_the_sound(tmp_path: Path) -> None:
    async with call(tmp_path, down(250_000), 1) as c:
        await asyncio.sleep(10)
        before = await c.inbound("audio")
        await asyncio.sleep(20)
        after = await c.inbound("audio")
        states = await c.bob.evaluate("state.messages.filter((m) => m.kind === 'track-state')")
        video = await c.inbound("video")
    concealed = (after["concealed"] - before["concealed"]) / (after["samples"] - before["samples"])
    print(f"{concealed:.2%} concealed, picture {video['width']} wide, told {states}")
    assert concealed <= 0.01
    assert video["width"] <= 320 or (states and states[-1]["paused"])
