"""Coalescing of timers: work that may wait a moment is done for everybody at once.

A function that runs now and then, between packets, finds its code and data gone from the processor's caches. It then
takes several times as long as in a batch.
"""

COALESCING_NS = 50_000_000


def coalesce(at: int) -> int:
    """Return the first coalesced time from `at` on, in ns."""
    return at + -at % COALESCING_NS


def coalesce_nearest(at: int, now: int) -> int:
    """Return the coalesced time nearest to `at` of those after `now`."""
    return coalesce(max(at - COALESCING_NS // 2, now + 1))
