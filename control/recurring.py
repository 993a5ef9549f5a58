"""Work that recurs, and what it is about: a thing that fails does not keep the others from being done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from control.database import UNAVAILABLE
from foundation.background import note_failure
from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_AGAIN_SECONDS = 5.0
Thing = TypeVar("Thing")


async def every(seconds: float, what: str, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step every so often, until cancelled; sooner again while it waits for the database."""
    while True:
        pause = seconds
        try:
            await step()
        except UNAVAILABLE as error:
            _LOG.warning("%s: waits for the database: %s", what, describe(error))
            pause = min(seconds, _AGAIN_SECONDS)
        await asyncio.sleep(pause)


async def for_each(what: str, things: Iterable[Thing], act: Callable[[Thing], Awaitable[None]]) -> None:
    """Do something with each; one that fails is logged and counted. Raises what tells that the database is away."""
    for thing in things:
        try:
            await act(thing)
        except UNAVAILABLE:
            raise
        except Exception as error:
            note_failure(what, error, "one failed, the others go on")
