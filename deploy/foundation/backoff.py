"""Pauses between attempts that fail."""

import asyncio


class Backoff:
    """The first attempt after a failure waits `first` seconds (none: at once), each further one twice as long.

    At most `longest`; success resets it.
    """

    _STEP = 0.5

    def __init__(self, longest: float = 30.0, first: float = 0.0) -> None:
        self._longest = longest
        self._first = first
        self._next = first

    def reset(self) -> None:
        """Begin anew: an attempt went well."""
        self._next = self._first

    def pause(self) -> float:
        """Return how long to wait now, in seconds."""
        pause = self._next
        self._next = min(max(pause * 2, self._STEP), self._longest)
        return pause

    async def wait(self) -> None:
        """Wait for so long."""
        await asyncio.sleep(self.pause())
