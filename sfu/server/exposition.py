"""The text of all metrics, made in slices, so that packets never wait for a scrape."""

import asyncio
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

SLICE_NS = 500_000


class Pauses:
    """Lets the loop run after each slice of work; call it often."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._begun = clock()

    async def __call__(self) -> None:
        """Pause if the slice is over."""
        if self._clock() - self._begun >= SLICE_NS:
            await asyncio.sleep(0)
            self._begun = self._clock()


async def exposition(registry: CollectorRegistry, pauses: Pauses) -> bytes:
    """Return the text of a registry's metrics in Prometheus' format. Its figures are of slightly different moments."""
    texts = []
    for family in registry.collect():
        texts.append(generate_latest(_Only(family)))
        await pauses()
    return b"".join(texts)


class _Only(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family
