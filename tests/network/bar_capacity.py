"""Bar: a downlink of 3 Mbps narrows to 600 kbps and widens again."""

import time
from pathlib import Path

from tests.network.behind_link import down, most_hold, once, viewer_call
from tests.network.behind_link_ours import FarCall, far_call
from tests.sfu.server.harness import eventually

HIGH, LOW = 3_000_000, 600_000


def _within(estimates: list[tuple[float, float]], since: float, low: float, high: float) -> float | None:
    """How long it took the estimate to come between the bounds, None if it never did."""
    return min((at - since for at, rate in estimates if at >= since and low <= rate <= high), default=None)


def _drained(queueing: list[tuple[float, float]], since: float, until: float) -> float:
    """The share of samples with less than 100 ms of queue, from 3 s after `since` on."""
    queue = [wait for at, wait in queueing if since + 3 <= at < until]
    return sum(wait < 0.1 for wait in queue) / len(queue)


def _judge(call: FarCall, dropped: float, widened: float, delivered: float, gap: float) -> bool:
    down_after = _within([entry for entry in call.estimates if entry[0] < widened], dropped, LOW * 0.75, LOW * 1.25)
    up_after = _within(call.estimates, widened, HIGH * 0.75, HIGH * 1.25)
    drained = _drained(call.queueing, dropped, widened)
    holds = (
        delivered >= 2e6
        and down_after is not None
        and down_after <= 4
        and up_after is not None
        and up_after <= 12
        and drained >= 0.95
        and gap <= 1
    )
    kilobits = [int(rate / 1000) for at, rate in call.estimates if at >= dropped][::5]
    print(
        f"{delivered / 1e6:.1f} Mbps before, within 25 % after {down_after} and {up_after} s, queue below 100 ms "
        f"{drained:.0%}, longest gap {gap:.2f} s: {'holds' if holds else 'missed'}; kbps {kilobits} {call.layers[::5]}"
    )
    return holds


async def _step(tmp_path: Path, seed: int, **changes: bool) -> bool:
    async with far_call(tmp_path, down(HIGH), seed, **changes) as call:
        await call.watch(12)
        dropped = time.monotonic()
        delivered = call.between(dropped - 4, dropped, "bytes") * 8
        call.link.change(down=down(LOW))
        await call.watch(16)
        widened = time.monotonic()
        call.link.change(down=down(HIGH))
        await call.watch(14)
        print(f"seed {seed} {changes or ''}:", end=" ")
        return _judge(call, dropped, widened, delivered, call.longest_gap(dropped))


@once
async def test_the_estimate_follows_a_downlink_that_narrows_and_widens(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _step(tmp_path, seed), seeds)


@once
async def test_without_the_estimator_it_is_missed(tmp_path: Path) -> None:
    assert not await _step(tmp_path, 1, estimate_bandwidth=False)


@once
async def test_chromium_freezes_for_no_second_meanwhile(tmp_path: Path, seeds: range) -> None:
    async def run(seed: int) -> bool:
        async with viewer_call(tmp_path, down(HIGH), seed) as call:
            await eventually(lambda: call.carried == "f", 30)
            await call.watch(4)
            began = await call.clock()
            call.link.change(down=down(LOW))
            await call.watch(12)
            call.link.change(down=down(HIGH))
            await call.watch(12)
            gap = await call.longest_gap(began)
        print(f"Chromium, seed {seed}: longest gap {gap:.0f} ms {call.layers[::5]}")
        return gap <= 1000

    assert await most_hold(run, seeds)
