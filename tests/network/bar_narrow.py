"""Bar: a downlink of 250 kbps keeps the sound, and shows the lowest layer or says that it pauses."""

import asyncio
from pathlib import Path

from tests.network.behind_link import down, most_hold, once, viewer_call


async def _narrow(tmp_path: Path, seed: int, **changes: bool) -> bool:
    async with viewer_call(tmp_path, down(250_000), seed, **changes) as call:
        await asyncio.sleep(8)
        before = await call.inbound("audio")
        await asyncio.sleep(25)
        after, picture, states = await call.inbound("audio"), await call.inbound("video"), await call.states()
        stays = bool(await call.bob.evaluate("state.closed === undefined"))
    concealed = (after["concealed"] - before["concealed"]) / (after["samples"] - before["samples"])
    paused = bool(states) and states[-1]["paused"]
    holds = stays and concealed <= 0.01 and (picture["height"] == 180 or paused)
    print(
        f"seed {seed} {changes or ''}: {concealed:.2%} concealed, picture of {picture['height']} lines, "
        f"paused {paused}: {'holds' if holds else 'missed'}"
    )
    return holds


@once
async def test_a_narrow_downlink_keeps_the_sound(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _narrow(tmp_path, seed), seeds)


@once
async def test_without_the_estimator_it_does_not(tmp_path: Path) -> None:
    assert not await _narrow(tmp_path, 1, estimate_bandwidth=False)
