"""Placing rooms on nodes, and placing them anew when a node is lost or drains.

A room that moves leaves nothing behind: in the transaction that gives it the next epoch, control writes the left and
closed events that the old node did not write, or will not be believed any more. Recordings go on at the new node.
"""

import logging
from datetime import UTC, datetime

from control import facts
from control.database import Connection
from control.http.problem import Problem
from control.services import Services
from control.store import meetings, placements, rooms
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement

_LOG = logging.getLogger(__name__)


async def check(services: Services, meeting: str) -> None:
    """Make sure that the node of a meeting lives before somebody is sent there; asks it if need be."""
    placement = await services.nodes.placement(meeting)
    if placement is not None:
        await services.registry.verify(placement.node)


async def place(services: Services, connection: Connection, meeting: str, region: str) -> Placement:
    """Return where a meeting's room is, placing it first if need be; needs a transaction that has locked the meeting.

    Raises Problem 503 when there is no node at all.
    """
    registry = services.registry
    before = await placements.of(connection, meeting)
    held = registry.held()
    taking = [name for name, node in held.items() if not node.draining]
    draining = [name for name, node in held.items() if node.draining]
    wanted = registry.choose(region)
    if wanted is None:  # better a node that may be back soon than none
        taking = list(registry.known())
        wanted = before.node if before is not None and before.node in taking else next(iter(taking), None)
    if wanted is None:
        _LOG.warning("room %s has no place: no media node is known", meeting)
        raise Problem(503, "no_node", "No media server is there to hold the meeting; try again soon.")
    placement = await placements.claim(connection, meeting, wanted, taking, draining)
    if before is None or placement.epoch != before.epoch:
        registry.chosen(placement.node)
        if before is not None:
            _LOG.info("room %s goes from %s to %s, epoch %d", meeting, before.node, placement.node, placement.epoch)
            await facts.close_room(connection, meeting, datetime.now(UTC), facts.NODE_LOST)
    return placement


async def move(services: Services, meeting: str, placement: Placement, reason: str) -> DesiredState | None:
    """Place a live room on another node; `reason` is facts.NODE_LOST or facts.MOVED.

    Returns the state to push there, None when no other node takes it or another control process was faster.
    """
    target = services.registry.choose(services.config.region, but=placement.node)
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
    _LOG.warning("room %s goes from %s to %s, epoch %d: %s", meeting, placement.node, target, moved.epoch, reason)
    return state


async def evacuate(services: Services, node: str) -> list[str]:
    """Place the live rooms of a draining node on others; returns those that another node took."""
    async with services.pool.acquire() as connection:
        held = await placements.live_on(connection, node)
    moved = []
    for meeting, placement in held:
        state = await move(services, meeting, placement, facts.MOVED)
        if state is not None:
            moved.append(meeting)
    return moved
