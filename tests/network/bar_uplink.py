"""Bars: a Chromium with our SDK publishes over a slow or shared uplink; one next to the server receives it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.network.bar_shared import CASES, queue_of
from tests.network.behind_link import MS, Browser, chromium_at, firefox_at, most_hold, once
from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import FULL_RATE, LOOPBACK_FLAG, chromium, secure_flag
from tests.support.link_model import LinkSettings
from tests.support.noisy_camera import write_noisy_video
from tests.support.tcp_load import tcp_load
from tests.support.tun_forwarder import EmulatedHost, emulated_host
from tests.support.waiting import eventually

SETTLING, SECONDS = 14, 12  # what a decoder learnt of a queue it forgets slowly
UPLOAD_SECONDS = 18
DOWN = LinkSettings(rate=3_000_000, delay=25 * MS)
_INSECURE = "media.devices.insecure.enabled", "media.getusermedia.insecure.enabled"


async def _stream(page: sdk_page.Evaluates, kind: str) -> dict[str, Any]:
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == kind]
    return max(rows, key=lambda row: row["packetsReceived"], default={})


@dataclass(frozen=True, slots=True)
class UplinkCall:
    """Ann publishes from behind the link; Bob watches her next to the server, in a Chromium."""

    link: EmulatedHost
    ann: Browser
    bob: Page


def _publisher(browser: str, prefix: list[str], site: str, video: Path) -> AbstractAsyncContextManager[Browser]:
    """Open the site, without TLS, in a browser with a camera. Firefox has a test camera of its own."""
    if browser == "firefox":
        return firefox_at(prefix, site, dict.fromkeys(_INSECURE, True))
    return chromium_at(prefix, site, [f"--use-file-for-fake-video-capture={video}", secure_flag(site)], whole=True)


@asynccontextmanager
async def uplink_call(
    tmp_path: Path, up: LinkSettings, seed: int, *, browser: str = "chromium", **camera: int
) -> AsyncIterator[UplinkCall]:
    """Yield a call once both tracks are published by a browser. `camera` are options of `write_noisy_video`."""
    video = tmp_path / "noise.mjpeg"
    write_noisy_video(video, **camera)
    with emulated_host(DOWN, up, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(link.server_address) as site,
            _publisher(browser, link.prefix, site, video) as ann,
            chromium(flags=[LOOPBACK_FLAG, FULL_RATE], whole=True) as receiving,
        ):
            bob = await receiving.browser.new_page()
            await bob.goto(site)
            await sdk_page.join_node(bob, h.signaling_url, h.control.token("r", "bob"))
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            await sdk_page.join_node(ann, url, h.control.token("r", "ann"), {"microphone": True, "camera": {}})
            await eventually(lambda: "r" in h.node.rooms and len(h.node.rooms["r"].uptracks) == 2, 30)
            yield UplinkCall(link, ann, bob)


async def _over(tmp_path: Path, seed: int, rate: int, browser: str = "chromium") -> bool:
    up = LinkSettings(rate=rate, delay=25 * MS)
    async with uplink_call(tmp_path, up, seed, browser=browser, contrast=12, flicker=4) as call:
        if rate < 150_000:
            await eventually(lambda: call.ann.evaluate("sdkPage.room.uplink.cameraRests"))
        await asyncio.sleep(SETTLING)
        sound, picture = await _stream(call.bob, "audio"), await _stream(call.bob, "video")
        await asyncio.sleep(SECONDS)
        heard, shown = await _stream(call.bob, "audio"), await _stream(call.bob, "video")
        spared = await call.ann.evaluate("[sdkPage.room.uplink.isThin, sdkPage.room.uplink.cameraRests]")
        sent = await sdk_page.streams(call.ann, "outbound-rtp")
    (row,) = [row for row in sent if row["kind"] == "audio"]
    concealed = _concealed(sound, heard)
    waits = sdk_page.buffered(sound, heard)
    fps = (shown.get("framesDecoded", 0) - picture.get("framesDecoded", 0)) / SECONDS
    freezes = shown.get("freezeCount", 0) - picture.get("freezeCount", 0)
    nacks = sum(row.get("nackCount", 0) for row in sent if row["kind"] == "video")
    holds = concealed <= 0.005 and waits <= 0.2 if rate < 150_000 else fps >= 25 and freezes <= 1
    print(
        f"{browser}, {rate // 1000} kbps up, seed {seed}: {fps:.1f} fps, {freezes} freezes, {concealed:.2%} concealed, "
        f"buffer {waits * 1000:.0f} ms, thin and resting {spared}, {nacks} NACKs for pictures, {row['codec']}, "
        f"encoder short of time for {_short_of_time(sent):.0f} s: {'holds' if holds else 'missed'}"
    )
    return holds


def _short_of_time(sent: list[dict[str, Any]]) -> float:
    """Return the time for which the encoder had too little processor time."""
    limits = [row.get("qualityLimitationDurations", {}) for row in sent if row["kind"] == "video"]
    return max((limit.get("cpu", 0.0) for limit in limits), default=0.0)


async def _beside_upload(tmp_path: Path, seed: int, megabits: int, milliseconds: int, control: str) -> bool:
    up = LinkSettings(delay=25 * MS, **queue_of(megabits, milliseconds))
    async with uplink_call(tmp_path, up, seed, contrast=12, flicker=4) as call:
        await asyncio.sleep(8)  # the browser has found its rate
        with tcp_load(call.link, control, upload=True) as load:
            await asyncio.sleep(3)
            picture, began, uploaded = await _stream(call.bob, "video"), time.monotonic(), load.received()
            await asyncio.sleep(UPLOAD_SECONDS)
            shown, seconds = await _stream(call.bob, "video"), time.monotonic() - began
            share = (load.received() - uploaded) * 8 / seconds / (megabits * 1e6)
        sent = await sdk_page.streams(call.ann, "outbound-rtp")
    fps = (shown["framesDecoded"] - picture["framesDecoded"]) / seconds
    frozen = _frozen(picture, shown) / seconds
    rate = (shown["bytesReceived"] - picture["bytesReceived"]) * 8 / seconds
    holds = fps >= 25 and frozen <= 0.05 and share >= 0.4
    print(
        f"upload by {control}, {megabits} Mbps, {milliseconds} ms, seed {seed}: {fps:.1f} fps, {rate / 1e6:.2f} Mbps, "
        f"frozen {frozen:.1%}, TCP has {share:.0%}, encoder short of time for {_short_of_time(sent):.0f} s: "
        f"{'holds' if holds else 'missed'}"
    )
    return holds


async def _from_afar(tmp_path: Path, seed: int, loss: float, delay: int) -> bool:
    up = LinkSettings(rate=3_000_000, delay=delay * MS, loss=loss)
    async with uplink_call(tmp_path, up, seed, contrast=12, flicker=4) as call:
        await asyncio.sleep(SETTLING)
        sound, picture = await _stream(call.bob, "audio"), await _stream(call.bob, "video")
        began = time.monotonic()
        await asyncio.sleep(SECONDS)
        heard, shown = await _stream(call.bob, "audio"), await _stream(call.bob, "video")
        seconds = time.monotonic() - began
        sent = await sdk_page.streams(call.ann, "outbound-rtp")
    fps = (shown["framesDecoded"] - picture["framesDecoded"]) / seconds
    frozen = _frozen(picture, shown) / seconds
    waits = sdk_page.buffered(picture, shown)
    concealed = _concealed(sound, heard)
    holds = fps >= 27 and frozen <= 0.03
    print(
        f"{loss:.0%} lost {delay} ms away, seed {seed}: {fps:.1f} fps at {shown['frameHeight']} lines, frozen "
        f"{frozen:.1%}, buffer {waits * 1000:.0f} ms, {concealed:.2%} concealed, encoder short of time for "
        f"{_short_of_time(sent):.0f} s: {'holds' if holds else 'missed'}"
    )
    return holds


def _frozen(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return for how many seconds a picture froze between two looks at its stream."""
    return float(after.get("totalFreezesDuration", 0.0) - before.get("totalFreezesDuration", 0.0))


def _concealed(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return the share of sound that was concealed between two looks, without silence."""
    received = after["totalSamplesReceived"] - before["totalSamplesReceived"]
    return (_invented(after) - _invented(before)) / max(int(received), 1)


def _invented(row: dict[str, Any]) -> int:
    return int(row.get("concealedSamples", 0)) - int(row.get("silentConcealedSamples", 0))


@once
@pytest.mark.parametrize("rate", [120_000, 500_000])
async def test_a_thin_uplink_keeps_what_matters(tmp_path: Path, rate: int, seeds: range) -> None:
    assert await most_hold(lambda seed: _over(tmp_path, seed, rate), seeds)


@once
async def test_a_thin_uplink_of_firefox_keeps_its_sound(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _over(tmp_path, seed, 120_000, "firefox"), seeds)


@once
@pytest.mark.parametrize(("megabits", "milliseconds", "control"), CASES)
async def test_a_picture_beside_an_upload(
    tmp_path: Path, megabits: int, milliseconds: int, control: str, seeds: range
) -> None:
    assert await most_hold(lambda seed: _beside_upload(tmp_path, seed, megabits, milliseconds, control), seeds)


@once
@pytest.mark.parametrize(("loss", "milliseconds"), [(0.02, 50), (0.02, 100), (0.05, 100), (0.02, 200)])
async def test_a_publisher_who_is_far_away_and_loses_packets(
    tmp_path: Path, loss: float, milliseconds: int, seeds: range
) -> None:
    assert await most_hold(lambda seed: _from_afar(tmp_path, seed, loss, milliseconds), seeds)
