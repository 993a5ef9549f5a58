"""Failover: rooms whose node is lost are placed on another, and their participants find it when they join again."""

import asyncio
import contextlib
import logging

from control import facts, placing
from control.database import UNAVAILABLE
from control.services import Services
from control.store import placements
from sfu.api.failures import describe

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


async def run(services: Services) -> None:
    """Look whenever a node comes or goes, and every other second, until cancelled."""
    while True:
        try:
            await rescue(services)
        except UNAVAILABLE as error:
            _LOG.warning("rooms of lost nodes wait for the database: %s", describe(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await services.registry.change()


async def rescue(services: Services) -> None:
    """Place the rooms of lost nodes anew, as long as another node lives; alone, a lost node may come back to them."""
    living = services.registry.living()
    if not any(not node.draining for node in living.values()):
        return
    async with services.pool.acquire() as connection:
        stranded = await placements.live_off(connection, list(living))
    for meeting, placement in stranded:
        state = await placing.move(services, meeting, placement, facts.NODE_LOST)
        if state is not None:
            services.nodes.push(state)
