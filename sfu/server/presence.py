"""A node's presence as control sees it: its record, its draining, and the handover of its rooms before it stops."""

import asyncio
import logging
import secrets
from collections.abc import Callable

from foundation.failures import describe
from foundation.part_tls import over_tls
from sfu.api.registration import MOVING_SECONDS, NodeLoad, NodeRecord, RoomLoads, WebTransportEndpoint
from sfu.rooms import room_load
from sfu.server.config import SfuConfig
from sfu.server.control_client import ControlClient, ControlUnavailable
from sfu.server.driver import Driver

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
_FLUSH_SECONDS = 0.3
_AGAIN_SECONDS = 2.0


class Presence:
    """`changed` is called on urgent changes of the record. `boot` is random, and identifies this process in facts.

    `webtransport` is the address of signaling over WebTransport.
    """

    def __init__(self, config: SfuConfig, control: ControlClient) -> None:
        self.boot = secrets.token_hex(8)
        self.draining = False
        self.changed: Callable[[], None] = lambda: None
        self._config = config
        self._control = control
        self._driver: Driver | None = None
        self._load: Callable[[], NodeLoad] = NodeLoad
        self._addresses = ("", "")
        self.webtransport: Callable[[], WebTransportEndpoint | None] = lambda: None
        self._handing_over: asyncio.Task[None] | None = None
        self._said = ""

    def serve(self, driver: Driver, load: Callable[[], NodeLoad], signaling_port: int, http_port: int) -> None:
        """Note that ports are bound and rooms may be placed here; `load` measures their cost."""
        host = self._config.advertised_host or self._config.http_host
        host = f"[{host}]" if ":" in host else host
        self._driver, self._load = driver, load
        driver.overload.changed = self._tell_changed
        ws, http = (over_tls(scheme, self._config.tls) for scheme in ("ws", "http"))
        self._addresses = (f"{ws}://{host}:{signaling_port}/ws/signaling", f"{http}://{host}:{http_port}")

    def _tell_changed(self) -> None:
        self.changed()

    def record(self) -> NodeRecord:
        """Return this node's record for control."""
        return NodeRecord(
            node=self._config.node,
            boot=self.boot,
            signaling_url=self._addresses[0],
            http_url=self._addresses[1],
            region=self._config.region,
            draining=self.draining,
            overloaded=self._driver is not None and self._driver.overload.is_overloaded,
            webtransport=self.webtransport(),
            load=self._load(),
        )

    def room_loads(self) -> RoomLoads:
        """Return the cost of each room of this node."""
        if self._driver is None:
            return RoomLoads(rooms=[])
        now = self._driver.now()
        return RoomLoads(rooms=[room_load.load_of(room, now) for room in self._driver.node.rooms.values()])

    def drain(self, grace: float | None) -> None:
        """Accept no more rooms; hand over the remaining ones after `grace` seconds (None: let them end).

        What cannot be handed over is tried again: control may be too busy to answer, and another node may yet start.
        """
        self._stop_handing_over()
        self.draining = True
        self.changed()
        if grace is not None:
            self._handing_over = asyncio.create_task(self._hand_over_all(grace))

    def undrain(self) -> None:
        """Accept rooms again."""
        self._stop_handing_over()
        self.draining = False
        self.changed()

    async def _hand_over_all(self, grace: float) -> None:
        await self.hand_over(grace)
        while self._driver is not None and self._driver.node.rooms:
            await asyncio.sleep(_AGAIN_SECONDS)
            await self.hand_over(0.0)

    async def hand_over(self, grace: float) -> None:
        """Wait for rooms to end, for at most `grace` seconds, then have the others placed on other nodes.

        Return once their participants have left this node.
        """
        if self._driver is None:
            return
        rooms = self._driver.node.rooms
        if not self.draining:
            self.draining = True
            self.changed()
        for _ in range(round(grace / _LOOK_SECONDS)):
            if not rooms:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if rooms:
            await self._move_rooms()
        for _ in range(round((MOVING_SECONDS + 1) / _LOOK_SECONDS)):
            if not self._driver.node.has_moving:
                break
            await asyncio.sleep(_LOOK_SECONDS)

    async def _move_rooms(self) -> None:
        assert self._driver is not None
        rooms = self._driver.node.rooms
        try:
            moved = await self._control.evacuate(self._config.node)
        except ControlUnavailable as error:
            self._say(logging.WARNING, f"{len(rooms)} rooms stay here for now: {describe(error)}")
            return
        self._say(logging.INFO, f"{len(moved)} of {len(rooms)} rooms move to other nodes")
        self._driver.node.move_away(moved, self._driver.now())
        self._driver.flush()
        await asyncio.sleep(_FLUSH_SECONDS)

    def _say(self, level: int, line: str) -> None:
        """Log what comes of an attempt, unless it is the same as before."""
        if line != self._said:
            self._said = line
            _log.log(level, "%s", line)

    async def close(self) -> None:
        if self._handing_over is not None:
            self._stop_handing_over()
            await asyncio.gather(self._handing_over, return_exceptions=True)

    def _stop_handing_over(self) -> None:
        if self._handing_over is not None:
            self._handing_over.cancel()
