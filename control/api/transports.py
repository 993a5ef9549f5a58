"""Plain RTP and SRTP transports of a meeting, for FFmpeg, GStreamer and SIP gateways; hosts open and close them.

Each transport belongs to a participant, which has its own row.
"""

import re

import msgspec

from control.api.types import Done
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings.ending import ended
from control.nodes.transport_client import TransportClient
from control.placement import placing
from control.problem import Problem, not_found
from control.store import audit, meetings, participants, rooms
from sfu.api.plain_transport import AnyTransport, ReceiveTransport, SendTransport, TransportInfo, Transports

endpoints = Endpoints("transports", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/transports"
_MAX_NAME = 100
_ID = re.compile(r"x-[0-9a-f]{16}")


@endpoints.route("POST", f"{_PATH}/send", Access.HOST, body=SendTransport, answer=TransportInfo, status=201)
async def open_sender(call: Call, meeting: str, body: SendTransport) -> TransportInfo:
    """Send a track to an address as plain RTP or SRTP. The response's `sdp` is for the receiver.

    Without `participant`, a new one named `name` receives.
    """
    return await _open(call, meeting, body)


@endpoints.route("POST", f"{_PATH}/receive", Access.HOST, body=ReceiveTransport, answer=TransportInfo, status=201)
async def open_receiver(call: Call, meeting: str, body: ReceiveTransport) -> TransportInfo:
    """Receive tracks as plain RTP or SRTP and publish them. The response contains the address to send them to.

    Without `participant`, a new one named `name` publishes.
    """
    return await _open(call, meeting, body)


@endpoints.route("GET", _PATH, Access.HOST, answer=Transports)
async def list_transports(call: Call, meeting: str) -> Transports:
    """List the open transports with their traffic, all at once: a meeting has a limited number."""
    client = await _client(call, meeting)
    return await client.list() if client is not None else Transports(transports=[])


@endpoints.route("DELETE", f"{_PATH}/<transport>", Access.HOST, answer=Done)
async def close_transport(call: Call, meeting: str, transport: str) -> Done:
    """Close a transport. A participant leaves with its last transport."""
    client = await _client(call, meeting)
    if client is None or not _ID.fullmatch(transport):
        raise not_found("There is no such transport.")
    await client.close(transport)
    async with call.services.pool.acquire() as connection:
        await audit.write(connection, call.actor, "transport.closed", transport, call.address, meeting=meeting)
    return Done()


async def _open(call: Call, meeting: str, wish: AnyTransport) -> TransportInfo:
    if call.standing.meeting.status == "ended":
        raise ended()
    if not wish.participant and not 0 < len(wish.name) <= _MAX_NAME:
        raise Problem(400, "name_required", "A new participant needs a name.")
    await placing.check(call.services, meeting)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise ended()
        if state.e2ee:
            raise Problem(409, "e2ee", "Plain transports are not available in end-to-end encrypted meetings.")
        if wish.participant:
            row = await participants.by_id(connection, meeting, wish.participant)
            if row is None or row.user_id is not None or row.removed_at is not None:
                raise not_found("There is no such participant in this meeting.")
        else:
            row = await participants.add(connection, meeting, None, wish.name, "participant")
        placement = await placing.place(call.services, connection, meeting, "")
    client = await _client(call, meeting)
    if client is None:
        raise Problem(503, "no_node", "This meeting has no live room.")
    wish = msgspec.structs.replace(wish, participant=row.id, name=row.name, epoch=placement.epoch)
    if isinstance(wish, ReceiveTransport):
        wish = msgspec.structs.replace(wish, kind="", identity="", metadata="")
    info = await client.open(wish)
    async with call.services.pool.acquire() as connection:
        detail = {"meeting": meeting, "participant": row.id, "direction": info.direction}
        if wish.address is not None:
            detail["far_end"] = f"{wish.address} port {wish.port}"
        await audit.write(connection, call.actor, "transport.opened", info.transport, call.address, **detail)
    return info


async def _client(call: Call, meeting: str) -> TransportClient | None:
    services = call.services
    node = await services.nodes.of_meeting(meeting)
    if node is None:
        return None
    return TransportClient(node, services.config.node_secret, meeting, services.parts_http)
