"""Garbage collection that does not hold up media.

A full collection looks at every object. With two hundred people these are over a hundred thousand, and it takes longer
than the receive buffers hold. What has survived one is therefore left out of the next: objects are freed as before when
nothing refers to them, only cycles among these stay. Once an hour all are searched, or earlier while no media flow.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

_EVERY_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0
_GROWN = 2
"""Without media, all are searched when so many times as many are left out as after the last time."""


@contextmanager
def sparing_survivors() -> Iterator[None]:
    """Leave out of collections what exists now, or survives a full one."""
    gc.freeze()
    gc.callbacks.append(_collected)
    try:
        yield
    finally:
        gc.callbacks.remove(_collected)
        gc.unfreeze()


async def search_now_and_then(is_calm: Callable[[], bool]) -> None:
    """Search all objects once an hour, or when there are many more and `is_calm` says that no media flow."""
    waited, kept = 0.0, gc.get_freeze_count()
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        waited += _EVERY_SECONDS
        if waited >= _LONGEST_SECONDS or (is_calm() and gc.get_freeze_count() > _GROWN * kept):
            search_all()
            waited, kept = 0.0, gc.get_freeze_count()


def search_all() -> None:
    """Search all objects for cycles that nothing refers to."""
    gc.unfreeze()
    gc.collect()


def _collected(phase: str, about: Mapping[str, int]) -> None:
    if phase == "stop" and about["generation"] == 2:
        gc.freeze()
