"""Placement of rooms on nodes, and on other nodes when a node is lost or drains.

When a room moves, the transaction that sets its next epoch also writes the left and closed events that the old node has
not reported. Its later reports are dropped. Recordings continue on the new node.
"""

import logging
from datetime import UTC, datetime

from control import facts
from control.database import Connection
from control.problem import Problem
from control.services import Services
from control.store import meetings, placements, rooms
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement

_log = logging.getLogger(__name__)


async def check(services: Services, meeting: str) -> None:
    """Verify that the node of a meeting is alive before somebody is sent there, probing it if needed."""
    placement = await services.nodes.placement(meeting)
    if placement is not None:
        await services.registry.verify(placement.node)


async def place(services: Services, connection: Connection, meeting: str, region: str) -> Placement:
    """Return the placement of a meeting's room, placing it first if needed.

    Needs a transaction that has locked the meeting. Raises Problem 503 if there is no node at all.
    """
    registry = services.registry
    before = await placements.of(connection, meeting)
    held = registry.held()
    taking = [name for name, node in held.items() if not node.draining]
    draining = [name for name, node in held.items() if node.draining]
    wanted = registry.choose(region)
    if wanted is None:  # a node that may return soon is better than none
        taking = list(registry.known())
        wanted = before.node if before is not None and before.node in taking else next(iter(taking), None)
    if wanted is None:
        _log.warning("cannot place room %s: no sfu node is known", meeting)
        raise Problem(503, "no_node", "No media server is available for the meeting. Try again in a moment.")
    placement = await placements.claim(connection, meeting, wanted, taking, draining)
    if before is None or placement.epoch != before.epoch:
        registry.chosen(placement.node)
        if before is not None:
            _log.info(
                "room %s moves from node %s to %s, epoch %d", meeting, before.node, placement.node, placement.epoch
            )
            await facts.close_room(connection, meeting, datetime.now(UTC), facts.NODE_LOST)
    return placement


async def ensure(services: Services, connection: Connection, meeting: str) -> None:
    """Place the room of a meeting in a transaction of its own, unless it is placed. Raises Problem 503 like `place`."""
    if await placements.of(connection, meeting) is None:
        async with connection.transaction():
            await meetings.lock(connection, meeting)
            await place(services, connection, meeting, services.config.region)


async def move(
    services: Services, meeting: str, placement: Placement, reason: str, target: str | None = None
) -> DesiredState | None:
    """Place a live room on `target`, by default the best other node; `reason` is facts.NODE_LOST or facts.MOVED.

    Return the state to push there, or None if no other node takes the room or another process has moved it.
    """
    target = target or services.registry.choose(services.config.region, but=placement.node)
    if target is None:
        return None
    async with services.pool.acquire() as connection, connection.transaction():
        if await meetings.lock(connection, meeting) is None:
            return None
        moved = await placements.move(connection, meeting, placement.epoch, target)
        if moved is None:
            return None
        await facts.close_room(connection, meeting, datetime.now(UTC), reason)
        state = await rooms.state(connection, meeting)
    services.registry.chosen(target)
    _log.warning("room %s moves from node %s to %s, epoch %d: %s", meeting, placement.node, target, moved.epoch, reason)
    return state


async def evacuate(services: Services, node: str) -> list[str]:
    """Place the live rooms of a draining node on others; return those that moved."""
    async with services.pool.acquire() as connection:
        held = await placements.live_on(connection, node)
    moved = []
    for meeting, placement in held:
        state = await move(services, meeting, placement, facts.MOVED)
        if state is not None:
            moved.append(meeting)
    return moved
