"""Bars: random loss, towards the viewer and in both directions."""

import asyncio
from pathlib import Path

import pytest

from tests.network.behind_link import MS, UP, concealed_between, down, most_hold, once, viewer_call
from tests.sfu.server.harness import host
from tests.support.layered_publisher import layered_publisher
from tests.support.link_model import LinkSettings
from tests.support.lossy_peer import losing_room
from tests.support.waiting import eventually

SECONDS = 60


async def _one_way(tmp_path: Path, seed: int) -> bool:
    async with viewer_call(tmp_path, down(loss=0.05), seed) as call:
        await eventually(lambda: call.rate > 2.5e6, 20)
        await asyncio.sleep(5)  # losses of the ramp-up are repaired
        before, began = await call.inbound("video"), await call.clock()
        await asyncio.sleep(SECONDS)
        after, gap = await call.inbound("video"), await call.longest_gap(began)
    fps = (after["frames"] - before["frames"]) / SECONDS
    holds = gap <= 200 and after["height"] == 720
    print(f"seed {seed}: longest gap {gap:.0f} ms, {fps:.1f} fps, {after['height']} lines: {_said(holds)}")
    return holds


@once
async def test_five_percent_towards_the_viewer_freeze_nothing(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _one_way(tmp_path, seed), seeds)


async def _far_away(tmp_path: Path, seed: int, loss: float, delay: int) -> bool:
    up = LinkSettings(rate=UP.rate, delay=delay * MS, loss=loss)
    async with viewer_call(tmp_path, down(loss=loss, delay=delay * MS), seed, up=up) as call:
        await eventually(lambda: call.rate > 2.5e6, 20)
        await asyncio.sleep(12)  # the viewer has learnt to wait for repairs
        sound, before = await call.inbound("audio"), await call.inbound("video")
        await asyncio.sleep(SECONDS / 3)
        heard, after = await call.inbound("audio"), await call.inbound("video")
    fps = (after["frames"] - before["frames"]) / (SECONDS / 3)
    frozen = (after["frozen"] - before["frozen"]) / (SECONDS / 3)
    concealed = concealed_between(sound, heard)
    holds = fps >= 27 and frozen <= 0.03
    print(
        f"{loss:.0%} lost {delay} ms away, seed {seed}: {fps:.1f} fps at {after['height']} lines, frozen {frozen:.1%}, "
        f"{concealed:.2%} concealed: {_said(holds)}"
    )
    return holds


@once
@pytest.mark.parametrize(("loss", "milliseconds"), [(0.02, 50), (0.02, 100), (0.05, 100), (0.02, 200), (0.01, 300)])
async def test_a_viewer_who_is_far_away_and_loses_packets(
    tmp_path: Path, loss: float, milliseconds: int, seeds: range
) -> None:
    assert await most_hold(lambda seed: _far_away(tmp_path, seed, loss, milliseconds), seeds)


async def _delivered(tmp_path: Path, seed: int) -> bool:
    """Use our own viewer, which counts each packet that arrived, whether first sent or repaired."""
    async with (
        host(tmp_path) as h,
        layered_publisher(h.signaling_url, h.control.token("r", "ann")) as ann,
        losing_room(h.signaling_url, h.control.token("r", "bob"), down(loss=0.05, delay=50 * MS), seed) as bob,
    ):
        await eventually(lambda: bob.stream_of(ann.camera.track) is not None, 10)
        await asyncio.sleep(5)  # losses of the start are repaired
        bob.delivered(ann.camera.track)
        await asyncio.sleep(SECONDS)
        share, packets = bob.delivered(ann.camera.track)
    holds = share >= 0.995
    print(f"seed {seed}: {share:.3%} of {packets} packets delivered after repair: {_said(holds)}")
    return holds


@once
async def test_of_five_percent_loss_nearly_all_is_repaired(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _delivered(tmp_path, seed), seeds)


async def _both_ways(tmp_path: Path, seed: int, browser: str, bound: float) -> bool:
    both = {"loss": 0.1, "delay": 25 * MS}
    up = LinkSettings(rate=UP.rate, **both)  # type: ignore[arg-type]  # fields by name
    async with viewer_call(tmp_path, down(**both), seed, up=up, browser=browser) as call:
        await asyncio.sleep(8)  # the estimate has settled
        sound, picture = await call.inbound("audio"), await call.inbound("video")
        await asyncio.sleep(SECONDS / 2)
        heard, seen = await call.inbound("audio"), await call.inbound("video")
    concealed = concealed_between(sound, heard)
    fps = (seen["frames"] - picture["frames"]) / (SECONDS / 2)
    holds = concealed <= bound and fps >= 24
    print(f"{browser}, seed {seed}: {concealed:.2%} concealed, {fps:.1f} of 30 fps: {_said(holds)}")
    return holds


@once
async def test_ten_percent_both_ways_in_chromium(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _both_ways(tmp_path, seed, "chromium", 0.01), seeds)


@once
async def test_ten_percent_both_ways_in_firefox(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _both_ways(tmp_path, seed, "firefox", 0.05), seeds)


def _said(holds: bool) -> str:
    return "holds" if holds else "missed"
