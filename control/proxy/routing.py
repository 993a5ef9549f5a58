"""Which node a request belongs to: by the meeting's placement, never by an address from the outside.

A node that turns out to be gone is not waited for: its rooms are placed anew, and the request goes there.
"""

from control import failover
from control.problem import Problem
from control.services import Services
from control.tokens import way_of_join_token
from sfu.api.registration import NodeRecord


def room_of_path(path: str) -> str:
    """Return the room that the path of a WHIP or WHEP session names, "" for others: events need no token."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] in {"whip", "whep"} else ""


async def node_for(services: Services, meeting: str, authorization: str = "", further: str = "") -> NodeRecord:
    """Return the node of `meeting`, else of the room that the bearer token names; raises Problem 404.

    `further`, or the token, may name one of those that the room has spilled over to.
    """
    named, by_token = way_of_join_token(authorization.partition(" ")[2].strip())
    room, wanted = meeting or named, further or by_token
    if "\x00" not in room:
        placement = await services.nodes.placement(room)
        if placement is not None and wanted in placement.spilled_to and await services.registry.verify(wanted):
            spilled = services.nodes.node(wanted)
            if spilled is not None:
                return spilled
        if placement is not None and not await services.registry.verify(placement.node):
            await failover.rescue(services)
        node = await services.nodes.of_meeting(room)
        if node is not None:
            return node
    raise Problem(404, "no_node", "No room of this meeting is known.")
