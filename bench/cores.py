"""Allocation of cores: a benchmark's own work beside what it measures."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Run on these cores; what is started inside stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
