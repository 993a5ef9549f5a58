"""Routing of requests to nodes: by the meeting's placement, never by an address from the request.

If the node turns out to be lost, its rooms are placed again at once, and the request goes to the new node.
"""

from control import livekit_admission, network_test, stream_key_admission
from control.identity.livekit_tokens import TokenRefused
from control.identity.tokens import way_of_join_token
from control.placement import failover
from control.problem import Problem, not_found
from control.services import Services
from sfu.api import session_paths
from sfu.api.registration import NodeRecord
from sfu.api.session_paths import Kind
from sfu.api.stream_key import is_stream_key

SIGNALING_PATH = "/ws/signaling"
LIVEKIT_PATHS = ("/rtc", "/rtc/", "/rtc/v1")
NO_NODE = "no_node"


def room_of_path(raw: str) -> str:
    """Return the room in an undecoded path of a WHEP player's events; "" for other paths, whose requests have a token.

    Raises Problem 404 if it is not a path of WHIP or WHEP.
    """
    try:
        path = session_paths.parse(raw)
    except ValueError as error:
        raise not_found() from error
    return path.room if path.kind is Kind.EVENT_STREAM else ""


async def node_of_livekit(services: Services, token: str) -> NodeRecord:
    """Return the node of the room in a LiveKit client's token; raises Problem with a status that the SDKs know."""
    try:
        meeting = await livekit_admission.room_of(services, await services.livekit_keys.admitted(token))
    except TokenRefused as refused:
        raise Problem(refused.status, "access_token", refused.detail) from refused
    try:
        return await node_for(services, meeting)
    except Problem as problem:  # the room exists, so it can be joined once there is a node
        raise Problem(503, problem.code, "no node is available for this room") from problem


async def node_for(services: Services, meeting: str, authorization: str = "", further: str = "") -> NodeRecord:
    """Return the node of `meeting`, or else of the room in the bearer token or key; raises Problem 404.

    `further`, or the token, may name one of the room's secondary nodes. The room of a network test is placed nowhere:
    its address names the node.
    """
    bearer = authorization.partition(" ")[2].strip()
    if is_stream_key(bearer):
        named, by_token = await stream_key_admission.meeting_of(services, bearer), ""
    else:
        named, by_token = way_of_join_token(bearer)
    room, wanted = meeting or named, further or by_token
    if network_test.is_test(room):
        return _node_of_test(services, wanted)
    if "\x00" not in room:
        placement = await services.nodes.placement(room)
        if placement is not None and wanted in placement.secondaries and await services.registry.verify(wanted):
            secondary = services.nodes.node(wanted)
            if secondary is not None:
                return secondary
        if placement is not None and not await services.registry.verify(placement.node):
            await failover.rescue(services)
            placement = await services.nodes.placement(room)
        node = None if placement is None else services.nodes.node(placement.node)
        if node is not None:
            return node
    raise Problem(404, NO_NODE, "This meeting has no room.")


def _node_of_test(services: Services, name: str) -> NodeRecord:
    """Return a node by its name; raises Problem 404."""
    node = services.nodes.node(name)
    if node is None:
        raise Problem(404, NO_NODE, "This test has no media server.")
    return node
