"""Feeds: queues of what a room receives, each for one reader. If that is too slow, the oldest entries are dropped."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 1024


class Feed(Generic[T]):
    """An asynchronous iterator that ends with the connection."""

    def __init__(self) -> None:
        self.dropped = 0
        """The number of dropped entries."""
        self._waiting: deque[T] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, entry: T) -> None:
        """Add an entry."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(entry)
        self._changed.set()

    def end(self) -> None:
        """End the iteration once the reader has all entries."""
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> "Feed[T]":
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


@contextlib.contextmanager
def opened(feeds: list[Feed[T]]) -> Iterator[Feed[T]]:
    """Yield a new feed, which is in `feeds` for the time of the context."""
    feed: Feed[T] = Feed()
    feeds.append(feed)
    try:
        yield feed
    finally:
        feeds.remove(feed)
