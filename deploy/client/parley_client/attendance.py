"""Attendance of a meeting: rejoins as the same participant when the connection is lost or the room moves.

Published tracks do not survive their peers; `prepare` is called with each new Room to publish them again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import aiohttp
from websockets.exceptions import WebSocketException

from foundation.failures import describe
from parley_client.api import Api, ApiError, Joined
from parley_client.room import Room, SignalingRefused

_log = logging.getLogger(__name__)
_PAUSES = (0.1, 0.3, 0.5, 1.0, 2.0, 5.0)
_HELD_SECONDS = 3.0
FINAL_CODES = frozenset({"removed", "banned", "ended", "replaced", "left", "unsupported_version"})
_PASSING_STATUSES = frozenset({408, 429})
_LOST = (OSError, TimeoutError, aiohttp.ClientError, WebSocketException)


async def _nothing(_: Room) -> None:
    return


class Attendance:
    """An async context manager that leaves at the end. `room` is the current one; `joins` counts the joins.

    `over` is the reason that it ended for good ("" while it lasts): a code of FINAL_CODES or of the refused join.
    """

    def __init__(
        self,
        api: Api,
        meeting: str,
        name: str | None = None,
        *,
        prepare: Callable[[Room], Awaitable[None]] = _nothing,
        **options: Any,
    ) -> None:
        """`options` are those of Room."""
        self.room: Room | None = None
        self.joins = 0
        self.over = ""
        self._api = api
        self._meeting = meeting
        self._name = name
        self._prepare = prepare
        self._options = options
        self._joined: Joined | None = None
        self._changed = asyncio.Condition()
        self._staying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Attendance":
        await self._enter()
        self._staying = asyncio.create_task(self._stay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.gather(self._staying, return_exceptions=True)
        if self.room is not None:
            await self.room.__aexit__(kind, error, trace)

    async def joined(self, times: int, seconds: float = 30.0) -> Room:
        """Return the room after the given number of joins; raises SignalingRefused if the attendance ends for good."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.over or (self.joins >= times and self.room is not None))
        if self.room is None:
            raise SignalingRefused(self.over, "The attendance is over.")
        return self.room

    async def _enter(self) -> None:
        secret = self._joined.rejoin_secret if self._joined is not None else None
        joined = await self._api.join(self._meeting, self._name, rejoin_secret=secret)
        self._joined = joined
        room = Room(self._api.signaling_url(joined), token=joined.token, **self._options)
        try:
            await room.__aenter__()
            await self._prepare(room)
        except BaseException:
            await room.abandon()
            raise
        async with self._changed:
            self.room = room
            self.joins += 1
            self._changed.notify_all()

    async def _stay(self) -> None:
        attempt = 0
        while not self.over:
            if self.room is not None:
                begun = asyncio.get_running_loop().time()
                await self.room.over()
                attempt = 0 if asyncio.get_running_loop().time() - begun > _HELD_SECONDS else attempt
                code = self.room.state.errors[-1].code if self.room.state.errors else ""
                _log.info("lost the room: %s", code or self.room.state.closed)
                await self.room.abandon()
                self.room = None
                if code in FINAL_CODES:
                    await self._end(code)
                    return
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1
            await self._try()

    async def _try(self) -> None:
        """Join again; the caller retries after temporary failures."""
        try:
            await self._enter()
        except ApiError as error:
            if 400 <= error.status < 500 and error.status not in _PASSING_STATUSES:
                await self._end(error.code)
        except SignalingRefused as error:
            if error.code in FINAL_CODES:
                await self._end(error.code)
        except _LOST as error:
            _log.info("cannot rejoin yet; retrying: %s", describe(error))

    async def _end(self, code: str) -> None:
        async with self._changed:
            self.over = code
            self._changed.notify_all()
