"""Recurring work, isolated so that one failing item does not stop the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from control import database_outage
from control.database import UNAVAILABLE
from foundation.background import note_failure

_AGAIN_SECONDS = 5.0
Thing = TypeVar("Thing")


async def every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Run a step every `seconds` until cancelled; retry sooner while the database is unreachable."""
    while True:
        pause = seconds
        try:
            await step()
        except UNAVAILABLE as error:
            database_outage.note(error)
            pause = min(seconds, _AGAIN_SECONDS)
        await asyncio.sleep(pause)


async def for_each(what: str, things: Iterable[Thing], act: Callable[[Thing], Awaitable[None]]) -> None:
    """Run `act` on each item; log and count failures. Raises only the errors of an unreachable database."""
    for thing in things:
        try:
            await act(thing)
        except UNAVAILABLE:
            raise
        except Exception as error:
            note_failure(what, error, "one item failed; continuing with the others")
