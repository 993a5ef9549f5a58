"""Cascade: the choice of a room's node for each participant, and the addition of secondary nodes.

Nodes fill up in order, home first, to `max_participants_per_node` participants each. Holders of tokens who have not
arrived yet count as present, so that a rush is spread over the nodes. A secondary node is informed of the room before
anybody is sent there. If it cannot be informed, the home node takes everyone.
"""

import logging

from control.database import Connection
from control.registry.choice import choose
from control.services import Services
from control.store import participants, placements, visits
from control.store.participants import ParticipantRow
from sfu.api.placement import Placement

_log = logging.getLogger(__name__)


async def node_for_joiner(
    services: Services, connection: Connection, participant: ParticipantRow, placement: Placement, region: str
) -> tuple[str, Placement]:
    """Return the node for somebody who joins, and the resulting placement.

    Needs the transaction that locked and placed the meeting.
    """
    limit, meeting = services.config.max_participants_per_node, participant.meeting_id
    if limit <= 0:
        return placement.node, placement
    held = [name for name in (placement.node, *placement.secondaries) if services.registry.lives(name)]
    present = await visits.present_by_node(connection, meeting)
    known = await visits.node_of(connection, meeting, participant.id)
    if known in held:
        return known, placement
    expected = await participants.expected(connection, meeting, participant.id)
    for name in held:
        room = limit - present.get(name, 0)
        if expected < room:
            return name, placement
        expected -= max(room, 0)
    others = (record for name, record in services.registry.living().items() if name not in held)
    found = choose(others, region, {})
    added = found.node if found is not None else None
    if added is not None:
        extended = await placements.add_secondary(connection, meeting, placement.epoch, added)
        if extended is not None:
            _log.info("room %s is extended from node %s to secondary node %s", meeting, placement.node, added)
            return added, extended
    return min(held or [placement.node], key=lambda name: present.get(name, 0)), placement


async def tell(services: Services, meeting: str, node: str, placement: Placement) -> bool:
    """Inform a secondary node of the room, and return whether it knows it. The home node needs no informing."""
    if node == placement.node:
        return True
    secondary, home = services.nodes.node(node), services.nodes.node(placement.node)
    if secondary is None or home is None:
        return False
    return await services.nodes.tell_secondary(meeting, secondary, home)
