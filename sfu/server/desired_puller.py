"""Pulls desired states from control: for a room when it opens, and every few seconds what changed in any live room."""

import asyncio
import logging
from collections.abc import Iterable

from foundation import control_outage
from sfu.api.desired_state import MAX_POLLED_ROOMS, DesiredPoll, DesiredState, KnownState
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
            await self._pull_opened(await self._opened.get())

    async def run_periodic(self) -> None:
        """Pull what has changed in any live room repeatedly, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._pull_changes()
                control_outage.note("desired states", None)
            except ControlUnavailable as error:
                control_outage.note("desired states", error)

    async def _pull_changes(self) -> None:
        """Ask about all live rooms, many at a time; raises ControlUnavailable."""
        left = list(self._driver.node.rooms)
        while left:
            asked = self._known(left[:MAX_POLLED_ROOMS])
            poll = DesiredPoll(node=self._driver.node.context.node, rooms=asked)
            changes = await self._control.desired_changes(poll)
            for room in changes.unknown:
                self._end(room)
            for desired in changes.changed:
                self._apply(desired)
            answered = asked.keys() & {*changes.unknown, *(desired.room for desired in changes.changed)}
            if not changes.more or not answered:
                answered = set(left[:MAX_POLLED_ROOMS])
            left = [room for room in left if room not in answered]

    def _known(self, names: list[str]) -> dict[str, KnownState]:
        rooms = [room for name in names if (room := self._driver.node.rooms.get(name)) is not None]
        versions = {room.room: -1 if room.desired is None else room.desired.version for room in rooms}
        return {room.room: KnownState(version=versions[room.room], epoch=room.epoch) for room in rooms}

    async def _pull_opened(self, room: str) -> None:
        try:
            desired = await self._control.desired(room)
        except MeetingUnknown:
            self._end(room)
        except ControlUnavailable as error:
            control_outage.note("desired states", error)
        else:
            if desired.room == room:
                self._apply(desired)

    def _apply(self, desired: DesiredState) -> None:
        self._driver.node.apply(desired, self._driver.now())
        self._driver.flush()

    def _end(self, room: str) -> None:
        """End a room whose meeting no longer exists."""
        _log.info("the meeting of room %s was deleted: the room ends", room)
        self._driver.node.end(room, self._driver.now())
        self._driver.flush()
