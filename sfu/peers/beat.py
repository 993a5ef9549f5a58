"""The beat on which a node does what may wait a moment, for everybody at once.

A function that runs once in a while, between packets, finds its code and whatever it touches gone from the processor's
caches: it takes several times as long as in a row of its like.
"""

BEAT_NS = 50_000_000


def on_beat(at: int) -> int:
    """Return the first beat from `at` on, in ns."""
    return at + -at % BEAT_NS


def on_nearest_beat(at: int, now: int) -> int:
    """Return the beat nearest to `at` of those after `now`."""
    return on_beat(max(at - BEAT_NS // 2, now + 1))
