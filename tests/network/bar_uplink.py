"""Bars: a Chromium with our SDK publishes over a thin uplink; one next to the server hears and sees it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.network.behind_link import MS, most_hold, once
from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.link_model import LinkSettings
from tests.support.noisy_camera import write_noisy_video
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

SETTLING, SECONDS = 14, 12  # what a decoder learnt of a queue it forgets slowly
DOWN = LinkSettings(rate=3_000_000, delay=25 * MS)


async def _stream(page: sdk_page.Evaluates, kind: str) -> dict[str, Any]:
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == kind]
    return max(rows, key=lambda row: row["packetsReceived"], default={})


async def _over(tmp_path: Path, seed: int, rate: int) -> bool:
    video = tmp_path / "noise.mjpeg"
    write_noisy_video(video)
    up = LinkSettings(rate=rate, delay=25 * MS)
    with emulated_host(DOWN, up, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(link.server_address) as site,
            chromium(
                link.prefix,
                flags=[
                    f"--use-file-for-fake-video-capture={video}",
                    f"--unsafely-treat-insecure-origin-as-secure={site.rstrip('/')}",
                ],
            ) as sending,
            chromium(flags=[LOOPBACK_FLAG]) as receiving,
        ):
            ann, bob = await sending.browser.new_page(), await receiving.browser.new_page()
            await ann.goto(site)
            await bob.goto(site)
            await sdk_page.join_node(bob, h.signaling_url, h.control.token("r", "bob"))
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            await sdk_page.join_node(ann, url, h.control.token("r", "ann"), {"microphone": True, "camera": {}})
            await eventually(lambda: "r" in h.node.rooms and len(h.node.rooms["r"].uptracks) == 2, 30)
            if rate < 150_000:
                await ann.wait_for_function("sdkPage.room.uplink.cameraRests", timeout=60_000)
            await asyncio.sleep(SETTLING)
            sound, picture = await _stream(bob, "audio"), await _stream(bob, "video")
            await asyncio.sleep(SECONDS)
            heard, shown = await _stream(bob, "audio"), await _stream(bob, "video")
            spared = await ann.evaluate("[sdkPage.room.uplink.isThin, sdkPage.room.uplink.cameraRests]")
            (row,) = [row for row in await sdk_page.streams(ann, "outbound-rtp") if row["kind"] == "audio"]
    concealed = (_concealed(heard) - _concealed(sound)) / max(
        heard["totalSamplesReceived"] - sound["totalSamplesReceived"], 1
    )
    waits = (heard["jitterBufferDelay"] - sound["jitterBufferDelay"]) / max(
        heard["jitterBufferEmittedCount"] - sound["jitterBufferEmittedCount"], 1
    )
    fps = (shown.get("framesDecoded", 0) - picture.get("framesDecoded", 0)) / SECONDS
    freezes = shown.get("freezeCount", 0) - picture.get("freezeCount", 0)
    holds = concealed <= 0.005 and waits <= 0.2 if rate < 150_000 else fps >= 25 and freezes <= 1
    print(
        f"{rate // 1000} kbps up, seed {seed}: {fps:.1f} fps, {freezes} freezes, {concealed:.2%} concealed, buffer "
        f"{waits * 1000:.0f} ms, thin and resting {spared}, {row['codec']}: {'holds' if holds else 'missed'}"
    )
    return holds


def _concealed(row: dict[str, Any]) -> int:
    return int(row.get("concealedSamples", 0)) - int(row.get("silentConcealedSamples", 0))


@once
@pytest.mark.parametrize("rate", [120_000, 500_000])
async def test_a_thin_uplink_keeps_what_matters(tmp_path: Path, rate: int, seeds: range) -> None:
    assert await most_hold(lambda seed: _over(tmp_path, seed, rate), seeds)
