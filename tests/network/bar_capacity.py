"""Bar: a downlink of 3 Mbps narrows to 600 kbps and widens again."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.network.behind_link import ViewerCall, down, encoding, most_hold, once, viewer_call
from tests.network.behind_link_ours import FarCall, far_call
from tests.support.waiting import eventually

HIGH, LOW = 3_000_000, 600_000


def _within(estimates: list[tuple[float, float]], since: float, low: float, high: float) -> float | None:
    """Return the time until the estimate was between the bounds, or None if it never was."""
    return min((at - since for at, rate in estimates if at >= since and low <= rate <= high), default=None)


def _said(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def _queues_until(queueing: list[tuple[float, float]], since: float, until: float) -> float:
    """Return the last time, in seconds, at which the queue was 100 ms long; 0 if it never was."""
    return max((at - since for at, wait in queueing if since <= at < until and wait >= 0.1), default=0.0)


@dataclass(frozen=True, slots=True)
class Course:
    """Return the time of the change (CLOCK_MONOTONIC), bits/s before it, and the longest time without a picture (s)."""

    dropped: float
    widened: float
    delivered: float
    gap: float


def _judge(call: FarCall | ViewerCall, course: Course) -> bool:
    dropped, widened = course.dropped, course.widened
    down_after = _within([entry for entry in call.estimates if entry[0] < widened], dropped, LOW * 0.75, LOW * 1.25)
    up_after = _within(call.estimates, widened, HIGH * 0.75, HIGH * 1.25)
    queues_until = _queues_until(call.queueing, dropped, widened)
    holds = (
        course.delivered >= 2e6
        and down_after is not None
        and down_after <= 4
        and up_after is not None
        and up_after <= 12
        and queues_until <= 3
        and course.gap <= 1
    )
    kilobits = [int(rate / 1000) for at, rate in call.estimates if at >= dropped][::5]
    print(
        f"{course.delivered / 1e6:.2f} Mbps before, within 25 % after {_said(down_after)} and {_said(up_after)} s, "
        f"queue of 100 ms for the last time after {queues_until:.1f} s, longest gap {course.gap:.2f} s: "
        f"{'holds' if holds else 'missed'}; kbps {kilobits} {call.layers[::5]}"
    )
    return holds


async def _change(call: FarCall | ViewerCall) -> tuple[float, float]:
    """Narrow the link and widen it again; return the times."""
    dropped = time.monotonic()
    call.link.change(down=down(LOW))
    await call.watch(16)
    widened = time.monotonic()
    call.link.change(down=down(HIGH))
    await call.watch(14)
    return dropped, widened


async def _ours(tmp_path: Path, seed: int, **changes: bool) -> bool:
    async with far_call(tmp_path, down(HIGH), seed, **changes) as call:
        await call.watch(12)
        delivered = call.between(time.monotonic() - 4, time.monotonic(), "bytes") * 8
        dropped, widened = await _change(call)
        print(f"ours, seed {seed} {changes or ''}:", end=" ")
        return _judge(call, Course(dropped, widened, delivered, call.longest_gap(dropped)))


async def _chromium(tmp_path: Path, seed: int, **changes: bool) -> bool:
    async with viewer_call(tmp_path, down(HIGH), seed, **changes) as call:
        await eventually(lambda: call.carried == "f", 30)
        await call.watch(8)
        before, began = await call.inbound("video"), time.monotonic()
        await call.watch(4)
        after, since = await call.inbound("video"), await call.clock()
        delivered = (after["bytes"] - before["bytes"]) * 8 / (time.monotonic() - began)
        dropped, widened = await _change(call)
        print(f"Chromium, seed {seed} {changes or ''}:", end=" ")
        return _judge(call, Course(dropped, widened, delivered, await call.longest_gap(since) / 1000))


RUNS = {"ours": _ours, "chromium": _chromium}


@once
@pytest.mark.parametrize("viewer", list(RUNS))
async def test_the_estimate_follows_a_downlink_that_narrows_and_widens(
    tmp_path: Path, viewer: str, seeds: range
) -> None:
    assert await most_hold(lambda seed: RUNS[viewer](tmp_path, seed), seeds)


@once
@pytest.mark.parametrize("viewer", list(RUNS))
async def test_without_the_estimator_it_is_missed(tmp_path: Path, viewer: str) -> None:
    assert not await RUNS[viewer](tmp_path, 1, estimate_bandwidth=False)


async def _between_chromiums(tmp_path: Path, seed: int) -> bool:
    async with viewer_call(tmp_path, down(HIGH), seed, publisher=encoding) as call:
        await eventually(lambda: call.rate >= HIGH * 0.75, 40)
        await call.watch(5)
        dropped, widened = await _change(call)
        assert call.bandwidth is not None
        reachable = min(HIGH, call.bandwidth.wanted)
    down_after = _within([entry for entry in call.estimates if entry[0] < widened], dropped, LOW * 0.75, LOW * 1.25)
    up_after = _within(call.estimates, widened, reachable * 0.75, HIGH * 1.25)
    holds = down_after is not None and down_after <= 4 and up_after is not None and up_after <= 12
    print(
        f"between Chromiums, seed {seed}: within 25 % after {_said(down_after)} and {_said(up_after)} s: "
        f"{'holds' if holds else 'missed'}; {call.layers[::5]}"
    )
    return holds


@once
async def test_the_estimate_follows_where_a_browser_encodes(tmp_path: Path, seeds: range) -> None:
    """On a busy machine, an encoder makes less than 2 Mbps, with pauses, and nothing above its layers is probed."""
    assert await most_hold(lambda seed: _between_chromiums(tmp_path, seed), seeds)
