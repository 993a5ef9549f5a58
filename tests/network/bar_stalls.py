"""Bar: an event loop that stalls for 50 ms every second is not taken for congestion on either side."""

import asyncio
import time
from pathlib import Path

from tests.network.behind_link import MS, down, most_hold, once, page_at
from tests.network.behind_link_ours import far_call
from tests.sfu.server.harness import Host, host
from tests.support.chromium import chromium, open_page, secure_flag
from tests.support.link_model import LinkSettings
from tests.support.noisy_camera import write_noisy_video
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

WIDE = 10_000_000
FLOOR = 500_000
"""Least rate of a publisher, in bits/s, since 90 % of very little would mean nothing."""


async def _stall(seconds: float) -> None:
    """Block the event loop, which is also the server's, for 50 ms of each second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.95)
        time.sleep(0.05)  # noqa: ASYNC251  # to stall the loop is the point


@once
async def test_a_viewer_keeps_the_best_layer_though_the_loop_stalls(tmp_path: Path) -> None:
    async with far_call(tmp_path, down(WIDE), 1, up=LinkSettings(rate=WIDE)) as call:
        await call.watch(6)
        before = call.between(time.monotonic() - 3, time.monotonic(), "bytes")
        stalling = asyncio.create_task(_stall(15))
        await call.watch(15)
        await stalling
        during = call.between(time.monotonic() - 12, time.monotonic(), "bytes")
    print(f"{before * 8 / 1e6:.2f} Mbps before, {during * 8 / 1e6:.2f} with stalls, layers {call.layers[::5]}")
    assert during >= 0.9 * before


def _published(h: Host) -> float:
    """Return the rate of Ann's camera on arrival, in bits/s."""
    tracks = [track for track in h.node.rooms["r"].uptracks.values() if not track.is_audio]
    return sum(stream.bits_per_second for track in tracks for stream in track.streams)


async def _average(h: Host, seconds: int) -> float:
    rates = []
    for _ in range(seconds):
        await asyncio.sleep(1)
        rates.append(_published(h))
    return sum(rates) / seconds


async def _publishes(tmp_path: Path, seed: int) -> bool:
    video = tmp_path / "noise.mjpeg"
    write_noisy_video(video, 640, 360)
    link_settings = LinkSettings(rate=WIDE, delay=10 * MS)
    with emulated_host(link_settings, link_settings, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            page_at(link.server_address) as page,
            chromium(
                link.prefix,
                [secure_flag(page), f"--use-file-for-fake-video-capture={video}"],
                whole=True,
            ) as publisher,
        ):
            ann = await open_page(publisher, page)
            url, token = h.signaling_url.replace("127.0.0.1", link.server_address), h.control.token("r", "ann")
            await ann.evaluate("([url, token]) => join(url, {token})", [url, token])
            await ann.evaluate("publishTracks(['microphone', 'camera'])")
            await eventually(lambda: _published(h) > 0, 30)
            await asyncio.sleep(20)  # until it has found its rate
            before = await _average(h, 10)
            stalling = asyncio.create_task(_stall(18))
            await asyncio.sleep(5)  # the encoder has had time to give way
            during = await _average(h, 12)
            await stalling
    holds = before >= FLOOR and during >= 0.9 * before
    print(
        f"seed {seed}: {before / 1e6:.2f} Mbps before, {during / 1e6:.2f} with stalls: {'holds' if holds else 'missed'}"
    )
    return holds


@once
async def test_a_chromium_publisher_keeps_its_bitrate_though_the_loop_stalls(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _publishes(tmp_path, seed), seeds)
