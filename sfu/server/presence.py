"""A node's presence for control: its record, its draining, and the handover of its rooms before it stops."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from foundation.failures import describe
from sfu.api.registration import NodeLoad, NodeRecord, WebTransportEndpoint
from sfu.server.config import SfuConfig
from sfu.server.control_client import ControlClient, ControlUnavailable
from sfu.server.driver import Driver

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
_FLUSH_SECONDS = 0.3


class CpuShare:
    """The share of one core that this process has used lately; read anew at most once a second."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._used = time.process_time()
        self._share = 0.0

    def read(self) -> float:
        now, used = time.monotonic(), time.process_time()
        if now - self._at >= 1.0:
            self._share = (used - self._used) / (now - self._at)
            self._at, self._used = now, used
        return round(self._share, 2)


class Presence:
    """`changed` is called when the record is urgently another. `boot` is random, and names this process in facts.

    `webtransport` tells where signaling is taken over WebTransport.
    """

    def __init__(self, config: SfuConfig, control: ControlClient) -> None:
        self.boot = secrets.token_hex(8)
        self.draining = False
        self.changed: Callable[[], None] = lambda: None
        self._config = config
        self._control = control
        self._cpu = CpuShare()
        self._driver: Driver | None = None
        self._addresses = ("", "")
        self.webtransport: Callable[[], WebTransportEndpoint | None] = lambda: None
        self._handing_over: asyncio.Task[None] | None = None

    def serve(self, driver: Driver, signaling_port: int, http_port: int) -> None:
        """Ports are bound, rooms may come."""
        host = self._config.advertised_host or self._config.http_host
        host = f"[{host}]" if ":" in host else host
        self._driver = driver
        driver.overload.changed = self._tell_changed
        self._addresses = (f"ws://{host}:{signaling_port}/ws/signaling", f"http://{host}:{http_port}")

    def _tell_changed(self) -> None:
        self.changed()

    def record(self) -> NodeRecord:
        """Return what control is to know of this node."""
        rooms = self._driver.node.rooms if self._driver is not None else {}
        return NodeRecord(
            node=self._config.node,
            boot=self.boot,
            signaling_url=self._addresses[0],
            http_url=self._addresses[1],
            region=self._config.region,
            draining=self.draining,
            overloaded=self._driver is not None and self._driver.overload.is_overloaded,
            webtransport=self.webtransport(),
            load=NodeLoad(
                cpu=self._cpu.read(),
                participants=sum(len(room.own()) for room in rooms.values()),
                rooms=len(rooms),
            ),
        )

    def drain(self, grace: float | None) -> None:
        """Take no new rooms any more; hand those that are left over after `grace` seconds (None: let them end)."""
        self._stop_handing_over()
        self.draining = True
        self.changed()
        if grace is not None:
            self._handing_over = asyncio.create_task(self.hand_over(grace))

    def undrain(self) -> None:
        """Take rooms again."""
        self._stop_handing_over()
        self.draining = False
        self.changed()

    async def hand_over(self, grace: float) -> None:
        """Wait until there are no rooms, at most `grace` seconds, then have what is left placed on other nodes."""
        if self._driver is None:
            return
        rooms = self._driver.node.rooms
        if not self.draining:
            self.draining = True
            self.changed()
        for _ in range(round(grace / _LOOK_SECONDS)):
            if not rooms:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        if not rooms:
            return
        try:
            moved = await self._control.evacuate(self._config.node)
        except ControlUnavailable as error:
            _log.warning("%d rooms stay until the end: %s", len(rooms), describe(error))
            return
        _log.info("%d of %d rooms go to other nodes", len(moved), len(rooms))
        self._driver.node.move_away(moved, self._driver.now())
        self._driver.flush()
        await asyncio.sleep(_FLUSH_SECONDS)

    async def close(self) -> None:
        if self._handing_over is not None:
            self._stop_handing_over()
            await asyncio.gather(self._handing_over, return_exceptions=True)

    def _stop_handing_over(self) -> None:
        if self._handing_over is not None:
            self._handing_over.cancel()
