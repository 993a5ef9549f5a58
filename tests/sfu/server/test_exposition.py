"""The text of all metrics, made in slices."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from sfu.server.exposition import SLICE_NS, Pauses, exposition


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    for number in range(6):
        gauge = Gauge(f"gauge_{number}", 'A figure, "quoted"', ["room"], registry=made)
        gauge.labels("one\nline").set(number / 3)
        Counter(f"counter_{number}", "Events", registry=made).inc(number)
    return made


async def test_slices_together_are_the_usual_text() -> None:
    made = registry()
    assert await exposition(made, Pauses()) == generate_latest(made)


async def test_others_run_after_each_slice() -> None:
    now = 0

    def clock() -> int:
        nonlocal now
        now += SLICE_NS // 3
        return now

    runs = 0

    async def another() -> None:
        nonlocal runs
        while True:
            runs += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await exposition(registry(), Pauses(clock))
    task.cancel()
    assert runs >= 3
