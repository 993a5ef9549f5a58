"""Garbage collection that does not delay media.

A full collection examines every object. With two hundred people there are over a hundred thousand, and it takes longer
than the receive buffers can bridge. Objects that survive a collection are therefore excluded from the next one. They
are still freed when nothing refers to them; only cycles among them stay. All objects are searched once an hour, or
earlier while no media flows.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

_EVERY_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0
_GROWN = 2
"""Without media, all objects are searched once the excluded ones have grown by this factor since the last time."""


@contextmanager
def sparing_survivors() -> Iterator[None]:
    """Exclude objects that exist now, or survive a full collection, from later collections."""
    gc.freeze()
    gc.callbacks.append(_collected)
    try:
        yield
    finally:
        gc.callbacks.remove(_collected)
        gc.unfreeze()


async def search_now_and_then(is_calm: Callable[[], bool]) -> None:
    """Search all objects once an hour, or if there are many more and no media flows (`is_calm`)."""
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
