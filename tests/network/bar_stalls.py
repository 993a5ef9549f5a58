"""Bar: a loop that stalls for 50 ms each second is no congestion: the viewer of a wide link keeps its layer."""

import asyncio
import time
from pathlib import Path

from tests.network.behind_link import down, once
from tests.network.behind_link_ours import far_call
from tests.support.link_model import LinkSettings

WIDE = 10_000_000


async def _stall(seconds: float) -> None:
    """Keep the loop, the server's too, for 50 ms of each second."""
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
