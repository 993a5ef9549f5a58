"""Pulls desired states from control: for a room when it opens, and for every live room every few seconds."""

import asyncio
import logging
from collections.abc import Iterable

from foundation.failures import describe
from sfu.server.control_client import ControlClient, ControlUnavailable, MeetingUnknown
from sfu.server.driver import Driver

_log = logging.getLogger(__name__)


class DesiredPuller:
    """Keeps the desired states of live rooms current, even if a PUT from control was lost."""

    def __init__(self, driver: Driver, control: ControlClient, interval: float) -> None:
        self._driver = driver
        self._control = control
        self._interval = interval
        self._opened: asyncio.Queue[str] = asyncio.Queue()

    def opened(self, rooms: Iterable[str]) -> None:
        """Note rooms that have opened; the node bounds their number."""
        for room in rooms:
            self._opened.put_nowait(room)

    async def run_opened(self) -> None:
        """Pull rooms as they open, until cancelled."""
        while True:
            await self._pull(await self._opened.get())

    async def run_periodic(self) -> None:
        """Pull the state of every live room repeatedly, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for room in list(self._driver.node.rooms):
                if not await self._pull(room):
                    break

    async def _pull(self, room: str) -> bool:
        """Pull a room's state; return whether control answered."""
        try:
            desired = await self._control.desired(room)
        except MeetingUnknown:
            _log.info("the meeting of room %s was deleted: the room ends", room)
            self._driver.node.end(room, self._driver.now())
            self._driver.flush()
            return True
        except ControlUnavailable as error:
            _log.info("cannot get the desired state of room %s: %s", room, describe(error))
            return False
        if desired.room == room:
            self._driver.node.apply(desired, self._driver.now())
            self._driver.flush()
        return True
