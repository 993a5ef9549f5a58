"""Bar: with LTE-like capacity, more is shown at less than half the delay of the same call without adaptation.

The capacity is 300 kbps to 6 Mbps, of which the best layer takes 2 Mbps. Layers differ by a factor of three to four,
and capacity between two layers stays unused.
"""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.network.behind_link import down, most_hold, once
from tests.network.behind_link_ours import far_call
from tests.sfu.machines.test_estimator_closed_loop import lte_trace
from tests.support.layered_publisher import LAYERS
from tests.support.tun_forwarder import EmulatedHost

SECONDS = 30
QUEUE_BYTES = 150_000
COSTS = {height: rate for _, height, rate, _ in LAYERS.values()}


async def _over(tmp_path: Path, seed: int, *, adapts: bool) -> tuple[float, float, float]:
    """Return the bitrate shown in time, the total bitrate shown (bits/s), and the p95 of the queueing delay in s.

    Only complete pictures count, at the cost of their layer. The sent rate is no measure: without adaptation, it is
    highest, and nearly all of it is useless. Nor are pictures that are seconds late.
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
    waits = sorted(wait for _, wait in call.queueing)
    return _shown(rows, "in_time"), _shown(rows, "pictures"), waits[int(len(waits) * 0.95)]


def _shown(rows: list[dict[str, Any]], name: str) -> float:
    counted = [(after[name] - row[name], COSTS.get(after["height"], 0)) for row, after in pairwise(rows)]
    return sum(pictures * cost for pictures, cost in counted) / 30 / SECONDS


async def _follow(link: EmulatedHost, trace: list[int]) -> None:
    for rate in trace:
        link.change(down=down(rate, queue_bytes=QUEUE_BYTES))
        await asyncio.sleep(0.1)


async def _more_with_less_delay(tmp_path: Path, seed: int) -> bool:
    adapted, fixed = await _over(tmp_path, seed, adapts=True), await _over(tmp_path, seed, adapts=False)
    holds = adapted[0] > fixed[0] and adapted[2] < fixed[2] / 2
    print(
        f"trace {seed}: in time {adapted[0] / 1e6:.2f} against {fixed[0] / 1e6:.2f} Mbps, at all "
        f"{adapted[1] / 1e6:.2f} against {fixed[1] / 1e6:.2f}, p95 queue {adapted[2]:.2f} against {fixed[2]:.2f} s: "
        f"{'holds' if holds else 'missed'}"
    )
    return holds


@once
async def test_over_traces_like_lte_more_is_shown_with_less_delay(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _more_with_less_delay(tmp_path, seed), seeds)
