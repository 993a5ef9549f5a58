"""Bars: links with high loss, low rate, a short queue or another order, in front of a viewer in Chromium."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.network.bar_shared import queue_of
from tests.network.behind_link import MS, concealed_between, down, most_hold, once, viewer_call
from tests.support.link_model import LinkSettings

SECONDS = 22


@dataclass(frozen=True, slots=True)
class Bar:
    """At least `fps`; at most these shares of time frozen, of sound concealed, and of packets lost by the queue."""

    settings: LinkSettings
    fps: float
    frozen: float = 1.0
    concealed: float = 1.0
    lost: float = 1.0
    settling: float = 8.0


BARS = {
    "2 % loss": Bar(down(3_000_000, loss=0.02), 24, concealed=0.004),
    "20 % loss, 3 Mbps": Bar(down(3_000_000, loss=0.2), 24, frozen=0.05, concealed=0.005),
    "20 % loss, 500 kbps": Bar(down(500_000, loss=0.2), 20, frozen=0.05, concealed=0.01),
    "5 % overtaken": Bar(down(3_000_000, overtaken=0.05, detour=40 * MS), 28, frozen=0.01, concealed=0.004),
    "600 kbps, queue 50 ms": Bar(down(**queue_of(0.6, 50)), 25, lost=0.05, settling=3.0),
}


async def _seen(tmp_path: Path, seed: int, name: str, **changes: bool) -> bool:
    bar = BARS[name]
    async with viewer_call(tmp_path, bar.settings, seed, **changes) as call:
        await asyncio.sleep(bar.settling)
        sound, picture, seen = await call.inbound("audio"), await call.inbound("video"), len(call.layers)
        await call.watch(SECONDS)
        heard, shown = await call.inbound("audio"), await call.inbound("video")
    concealed = concealed_between(sound, heard)
    fps = (shown["frames"] - picture["frames"]) / SECONDS
    frozen = (shown["frozen"] - picture["frozen"]) / SECONDS
    lost = (shown["lost"] - picture["lost"]) / max(shown["packets"] - picture["packets"] + shown["lost"], 1)
    holds = fps >= bar.fps and frozen <= bar.frozen and concealed <= bar.concealed and lost <= bar.lost
    print(
        f"{name}, seed {seed} {changes or ''}: {fps:.1f} fps, {shown['height']} lines, frozen {frozen:.1%}, "
        f"{concealed:.2%} concealed, {lost:.1%} lost: {'holds' if holds else 'missed'}; {call.layers[seen::5]}"
    )
    return holds


@once
@pytest.mark.parametrize("name", list(BARS))
async def test_a_hard_link_under_chromium(tmp_path: Path, name: str, seeds: range) -> None:
    assert await most_hold(lambda seed: _seen(tmp_path, seed, name), seeds)
