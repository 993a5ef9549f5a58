"""Bar: a downlink of 250 kbps keeps the sound, and shows the lowest layer or reports that it is paused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.network.behind_link import (
    Publisher,
    concealed_between,
    down,
    encoding,
    layered,
    most_hold,
    once,
    viewer_call,
)
from tests.network.moving import follow, shown_seconds, stands_still
from tests.support.layered_publisher import LAYERS

LOWEST = LAYERS["q"][0]


async def _narrow(tmp_path: Path, seed: int, publisher: Publisher = layered, **changes: Any) -> bool:
    async with viewer_call(tmp_path, down(250_000), seed, publisher=publisher, **changes) as call:
        await asyncio.sleep(8)  # the estimate has settled
        before = await call.inbound("audio")
        (camera,) = [track for track, entry in call.h.node.rooms["r"].uptracks.items() if not entry.is_audio]
        samples = (await follow(call, [camera], 25))[camera]
        after = await call.inbound("audio")
        stays = bool(await call.bob.evaluate("state.closed === undefined"))
    concealed = concealed_between(before, after)
    shown, paused = shown_seconds(samples), sum(sample.paused for sample in samples)
    lowest = all(width == LOWEST for _, width in shown)
    holds = (
        stays and concealed <= 0.01 and lowest and not stands_still(samples, moves=1)
    )  # an encoder on a busy machine makes few
    print(
        f"{publisher.__name__}, seed {seed} {changes or ''}: {concealed:.2%} concealed, pictures of each second shown "
        f"{[pictures for pictures, _ in shown]}, of the lowest layer {lowest}, paused in {paused} of {len(samples)} s: "
        f"{'holds' if holds else 'missed'}"
    )
    return holds


@once
@pytest.mark.parametrize("publisher", [layered, encoding])
async def test_a_narrow_downlink_keeps_the_sound(tmp_path: Path, publisher: Publisher, seeds: range) -> None:
    assert await most_hold(lambda seed: _narrow(tmp_path, seed, publisher), seeds)


@once
async def test_without_the_estimator_it_does_not(tmp_path: Path) -> None:
    assert not await _narrow(tmp_path, 1, estimate_bandwidth=False)
