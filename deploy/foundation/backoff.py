"""Pauses after failed attempts."""

import asyncio


class Backoff:
    """Exponential back-off: waits `first` seconds after a failure (0: none), then twice as long each time.

    The pause never exceeds `longest` seconds; success resets it.
    """

    _STEP = 0.5

    def __init__(self, longest: float = 30.0, first: float = 0.0) -> None:
        self._longest = longest
        self._first = first
        self._next = first

    def reset(self) -> None:
        """Reset the pauses after a successful attempt."""
        self._next = self._first

    def pause(self) -> float:
        """Return the next pause in seconds."""
        pause = self._next
        self._next = min(max(pause * 2, self._STEP), self._longest)
        return pause

    async def wait(self) -> None:
        """Wait for the next pause."""
        await asyncio.sleep(self.pause())
