"""Bar: over capacity like LTE's, more is shown at less than half the delay of the same call without adaptation."""

import asyncio
from itertools import pairwise
from pathlib import Path

from tests.network.behind_link import down, once
from tests.network.behind_link_ours import far_call
from tests.sfu.machines.test_estimator_closed_loop import lte_trace
from tests.support.layered_publisher import LAYERS
from tests.support.tun_forwarder import EmulatedHost

SECONDS = 40
QUEUE_BYTES = 150_000
COSTS = {height: rate for _, height, rate in LAYERS.values()}


async def _over(tmp_path: Path, seed: int, *, adapts: bool) -> tuple[float, float]:
    """The bitrate shown (whole pictures at what their layer costs, bits/s) and the p95 of the queueing delay in s.

    What fills the link is no measure: without adaptation that is most, and nearly all of it in vain.
    """
    trace = lte_trace(seed, SECONDS)
    settings = down(trace[0], queue_bytes=QUEUE_BYTES)
    async with far_call(tmp_path, settings, seed, estimate_bandwidth=adapts) as call:
        await call.watch(3)
        begin = len(call.rows)
        changing = asyncio.create_task(_follow(call.link, trace))
        await call.watch(SECONDS)
        await changing
        rows = call.rows[begin:]
    shown = sum(
        (after["pictures"] - row["pictures"]) * COSTS.get(after["height"], 0) / 30 for row, after in pairwise(rows)
    )
    waits = sorted(wait for _, wait in call.queueing)
    return shown / SECONDS, waits[int(len(waits) * 0.95)]


async def _follow(link: EmulatedHost, trace: list[int]) -> None:
    for rate in trace:
        link.change(down=down(rate, queue_bytes=QUEUE_BYTES))
        await asyncio.sleep(0.1)


@once
async def test_over_traces_like_lte_more_is_shown_with_less_delay(tmp_path: Path) -> None:
    better = 0
    for seed in range(5):
        adapted, fixed = await _over(tmp_path, seed, adapts=True), await _over(tmp_path, seed, adapts=False)
        holds = adapted[0] > fixed[0] and adapted[1] < fixed[1] / 2
        better += holds
        print(
            f"trace {seed}: {adapted[0] / 1e6:.2f} against {fixed[0] / 1e6:.2f} Mbps, p95 queue {adapted[1]:.2f} "
            f"against {fixed[1]:.2f} s: {'holds' if holds else 'missed'}"
        )
    assert better >= 4
