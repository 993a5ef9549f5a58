"""Measures of what must not be noticed while something fails: media of a call, and the work beside it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from parley_client import Api, ApiError, Room


class Gaps:
    """The longest time for which a listener got no new frame, in seconds, and the times for which it lasted."""

    def __init__(self, listener: Room) -> None:
        self._listener = listener
        self.longest = 0.0

    async def watch(self) -> None:
        frames, since = -1, time.monotonic()
        while True:
            now = sum(stream.frame_count for stream in self._listener.receiver.streams.values())
            if now != frames:
                frames, since = now, time.monotonic()
            self.longest = max(self.longest, time.monotonic() - since)
            await asyncio.sleep(0.02)


class Usual:
    """The usual work beside a call: each second a change of the meeting, and a guest who joins."""

    def __init__(self, api: Api, meeting: str) -> None:
        self._api = api
        self._meeting = meeting
        self.failed: list[str] = []
        self.count = 0

    async def succeeds(self, times: int = 3) -> None:
        """Wait until this has succeeded so many times without a failure in between."""
        async with asyncio.timeout(60 + 10 * times):
            begun, failed = self.count, len(self.failed)
            while self.count <= begun + times:
                if len(self.failed) > failed:
                    begun, failed = self.count, len(self.failed)
                await asyncio.sleep(0.1)

    async def go_on(self) -> None:
        async with Api(self._api.base, verify_tls=False) as guest:
            while True:
                self.count += 1
                try:
                    async with asyncio.timeout(10):
                        body = {"title": f"Number {self.count}"}
                        await self._api.request("PUT", f"/meetings/{self._meeting}", body)
                        await guest.join(self._meeting, "Guest")
                except (ApiError, OSError, TimeoutError) as error:
                    self.failed.append(str(error) or type(error).__name__)
                await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do work in the background of the block. It must not end by itself."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
