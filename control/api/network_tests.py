"""Tests of a network before a call: two join tokens for a room that is nobody's meeting."""

import time
from datetime import UTC, datetime

from control import network_test
from control.api.types import Answer, Time
from control.auth.access import Access, sign_in_required
from control.endpoint import Call, Endpoints
from control.identifiers import new_id
from control.nodes import turn
from control.problem import Problem
from sfu.api.join_token import Grants
from sfu.api.signaling_values import IceServer

endpoints = Endpoints("network tests", scope="meetings")
_WINDOW = 10 * 60
_PER_ACCOUNT = 10
_PER_ADDRESS = 40
_AT_ONCE = 20


class NetworkTest(Answer, frozen=True, kw_only=True):
    """`sender` may publish a camera and a microphone, `receiver` only receives; both are join tokens, as in `Joined`.

    The room ends at `ends_at`, whoever is in it.
    """

    sender: str
    receiver: str
    signaling_url: str
    ice_servers: list[IceServer]
    ends_at: Time


@endpoints.route("POST", "/api/v1/network-tests", Access.ANYONE, answer=NetworkTest, status=201)
async def start_network_test(call: Call) -> NetworkTest:
    """Return what a device needs to send to itself through a media server, to learn what a call would get.

    An account may do so ten times in ten minutes, an address without one forty times.
    """
    services = call.services
    account = call.principal.user if call.principal is not None else None
    if call.principal is None and not services.config.guests:
        raise sign_in_required()
    if account is not None:
        await services.limits.spend("network_test", account.user, _PER_ACCOUNT, _WINDOW)
    else:
        await services.limits.spend("network_test", call.network, _PER_ADDRESS, _WINDOW)
    await services.limits.spend("network_tests", "all", _AT_ONCE, network_test.SECONDS)
    known = services.registry.known()
    # A node that does not answer now is tested, too: the device then sees what a call would see.
    node = services.registry.choose(call.region) or next(iter(known), None)
    if node is None or known[node].overloaded:
        raise Problem(503, "no_node", "No media server has time for a test now. Try again in a moment.")
    now = int(time.time())
    room = network_test.new_room(now)
    ice_servers = turn.ice_servers(services.config.turn, room, now)

    def token(name: str, grants: Grants) -> str:
        return services.tokens.join(room, new_id("test"), name, None, grants, ice=turn.links(ice_servers))

    return NetworkTest(
        sender=token("sender", network_test.SENDER),
        receiver=token("receiver", network_test.RECEIVER),
        signaling_url=f"/ws/signaling?meeting={room}&node={node}",
        ice_servers=ice_servers,
        ends_at=datetime.fromtimestamp(now + network_test.SECONDS, UTC),
    )
