"""Moving rooms off hot nodes, by one control process at a time (a session advisory lock)."""

import asyncio
import logging
import time

from control import database_outage, facts
from control.database import UNAVAILABLE, sole_session
from control.placement import placing
from control.placement.balance import Balance
from control.services import Services
from control.store import placements

_log = logging.getLogger(__name__)
_LOCK = 0x70_62_61_6C
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 5.0


async def run(services: Services) -> None:
    """Check the nodes once a second and move rooms, until cancelled."""
    while True:
        try:
            await _while_connected(services)
        except UNAVAILABLE as error:
            database_outage.note(error)
            await asyncio.sleep(_AGAIN_SECONDS)


async def _while_connected(services: Services) -> None:
    async with sole_session(services.config.database_dsn, _LOCK, "parley-balancing") as connection:
        balance = Balance()
        while not connection.is_closed():
            await step(services, balance, time.monotonic())
            await asyncio.sleep(_LOOK_SECONDS)


async def step(services: Services, balance: Balance, now: float) -> None:
    """Move a room, if one should move now."""
    way = balance.look(services.registry.living().values(), now)
    if way is None:
        return
    rooms = await services.nodes.room_loads(way.hot)
    found = balance.pick(way, rooms, now)
    if found is None:
        if balance.is_stuck_anew(way):
            _log.info("node %s is hot, and none of its rooms fits another", way.hot.node)
        return
    async with services.pool.acquire() as connection:
        placement = await placements.of(connection, found)
    if placement is None or placement.node != way.hot.node or placement.secondaries:
        return
    state = await placing.move(services, found, placement, facts.MOVED, target=way.calm.node)
    if state is not None:
        # The old node first: its participants rejoin on the new one as soon as they are redirected.
        await services.nodes.give_up(way.hot, state)
        services.nodes.push(state)
