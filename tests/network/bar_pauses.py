"""Bar: a picture that a thin link paused comes back in Chromium once there is room again."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.network.behind_link import ViewerCall, down, most_hold, once, viewer_call
from tests.support.waiting import eventually

THIN, WIDE = 100_000, 5_000_000
PAUSE = 16
PATIENCE, BEST = 30.0, 720
WITHIN, BEST_WITHIN = 5.0, 9.0


async def _returns(call: ViewerCall) -> tuple[float, float]:
    """Return after how many seconds a new picture is decoded, and one of the best layer."""
    began, before = time.monotonic(), await call.inbound("video")
    shown = PATIENCE
    while (seconds := time.monotonic() - began) < PATIENCE:
        picture = await call.inbound("video")
        if picture["frames"] > before["frames"]:
            shown = min(shown, seconds)
            if picture["height"] == BEST:
                return shown, seconds
        await call.watch(0.1)
    return shown, PATIENCE


async def _paused(tmp_path: Path, seed: int, settled: float, **changes: Any) -> bool:
    async with viewer_call(tmp_path, down(WIDE), seed, **changes) as call:
        await eventually(lambda: call.carried == "f", 30)
        await call.watch(settled)
        call.link.change(down=down(THIN))
        await call.watch(PAUSE)
        is_paused = call.carried == ""
        call.link.change(down=down(WIDE))
        shown, best = await _returns(call)
    holds = is_paused and shown <= WITHIN and best <= BEST_WITHIN
    print(
        f"narrowed {settled} s after the best layer, seed {seed} {changes or ''}: paused {is_paused}, a picture after "
        f"{shown:.1f} s, the best layer after {best:.1f} s: {'holds' if holds else 'missed'}; {call.layers[::5]}"
    )
    return holds


@once
@pytest.mark.parametrize("settled", [3.0, 3.3, 3.6])
async def test_a_paused_picture_comes_back(tmp_path: Path, settled: float, seeds: range) -> None:
    """The moment at which the link narrows decides what the last probe before the pause shows."""
    assert await most_hold(lambda seed: _paused(tmp_path, seed, settled), seeds)


@once
async def test_without_the_estimator_nothing_is_paused(tmp_path: Path) -> None:
    assert not await _paused(tmp_path, 1, 3.0, estimate_bandwidth=False)
