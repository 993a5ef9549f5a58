"""Lag of this process's event loop: the delay of a timer that fires every quarter of a second."""

import asyncio

from prometheus_client import Histogram

_EVERY = 0.25
_LAG = Histogram(
    "parley_event_loop_lag_seconds",
    "Delay of a timer in the event loop",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


async def measure() -> None:
    """Measure the lag until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY
        await asyncio.sleep(_EVERY)
        _LAG.observe(max(0.0, loop.time() - due))
