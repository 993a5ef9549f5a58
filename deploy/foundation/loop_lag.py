"""Lag of this process's event loop: the delay of a timer that fires at an interval."""

import asyncio

from prometheus_client import Histogram

_LAG = Histogram(
    "parley_event_loop_lag_seconds",
    "Delay of a timer in the event loop",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


async def measure(every: float) -> None:
    """Measure the lag every so many seconds until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        _LAG.observe(max(0.0, loop.time() - due))
