"""Coalescing of timers: work that may wait a moment is done for all peers together.

A function that runs now and then, between packets, finds the processor's caches cold. It then takes several times as
long as in a batch.
"""

COALESCING_NS = 50_000_000


def coalesce(at: int) -> int:
    """Return the first coalesced time from `at` on, in ns."""
    return at + -at % COALESCING_NS


def coalesce_nearest(at: int, now: int) -> int:
    """Return the coalesced time after `now` that is nearest to `at`."""
    return coalesce(max(at - COALESCING_NS // 2, now + 1))
