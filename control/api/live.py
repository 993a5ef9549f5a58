"""Live state: rooms, visits, peers and their tracks."""

from control.api.live_types import (
    Closed,
    LiveRoom,
    LiveRoomQuery,
    LiveRooms,
    LiveTrack,
    Peer,
    Peers,
    RoomStatistics,
    Visit,
    VisitQuery,
    Visits,
)
from control.api.paging import page_of, window_of
from control.api.participant_types import Participant, PresentQuery
from control.api.participants import public_participant
from control.auth import access
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.nodes.node_client import RoomRate
from control.problem import Problem, not_found
from control.store import audit, participants, recordings, rooms, visits
from control.store.participants import ParticipantRow
from control.store.visits import LiveRoomRow, VisitRow

endpoints = Endpoints("live", scope="meetings")
administration = Endpoints("administration", scope="admin")


@endpoints.route("GET", "/api/v1/sessions/room/<meeting>", Access.HOST, query=VisitQuery, answer=Visits)
async def list_visits(call: Call, meeting: str, query: VisitQuery) -> Visits:
    """List visits to the room, newest first."""
    window = window_of(query, VisitRow)
    async with call.services.pool.acquire() as connection:
        rows = await visits.of_meeting(connection, meeting, window, query.search)
    page, following = page_of(rows, query)
    return Visits(visits=[_visit(row) for row in page], next=following)


@administration.route("GET", "/api/v1/sessions/<int:visit>", Access.ADMIN, answer=Visit)
async def get_visit(call: Call, visit: int) -> Visit:
    """Return one visit."""
    async with call.services.pool.acquire() as connection:
        row = await visits.by_id(connection, visit) if visit < 2**63 else None
    if row is None:
        raise not_found("There is no such visit.")
    return _visit(row)


@administration.route("GET", "/admin/sessions", Access.ADMIN, query=VisitQuery, answer=Visits)
async def list_open_visits(call: Call, query: VisitQuery) -> Visits:
    """List the open visits of all rooms, newest first."""
    window = window_of(query, VisitRow)
    async with call.services.pool.acquire() as connection:
        rows = await visits.open_ones(connection, window, query.search)
    page, following = page_of(rows, query)
    return Visits(visits=[_visit(row) for row in page], next=following)


@administration.route("POST", "/admin/cleanup/sessions", Access.ADMIN, answer=Closed)
async def close_orphaned_visits(call: Call) -> Closed:
    """Close visits of rooms that are not live."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        closed = await visits.close_orphans(connection)
        await audit.write(connection, call.actor, "cleanup_sessions", None, call.address, closed=closed)
    return Closed(closed=closed)


@administration.route("GET", "/api/v1/stats/rooms", Access.ADMIN, query=LiveRoomQuery, answer=LiveRooms)
async def list_live_rooms(call: Call, query: LiveRoomQuery) -> LiveRooms:
    """List the live rooms, the oldest first."""
    window = window_of(query, LiveRoomRow, "meeting_id")
    async with call.services.pool.acquire() as connection:
        rows = await visits.live_rooms(connection, window, query.search)
    page, following = page_of(rows, query, "meeting_id")
    rates = await call.services.nodes.room_rates()
    live = [_live_room(row, rates.get(row.meeting_id, RoomRate())) for row in page]
    return LiveRooms(rooms=live, next=following)


@endpoints.route("GET", "/api/v1/webrtc/room/<meeting>/peers", Access.PARTICIPANT, query=PresentQuery, answer=Peers)
async def list_peers(call: Call, meeting: str, query: PresentQuery) -> Peers:
    """List the participants in the room and what they publish."""
    window = window_of(query, ParticipantRow)
    async with call.services.pool.acquire() as connection:
        rows = await participants.page(connection, meeting, window, present=True, search=query.search)
        page, following = page_of(rows, query)
        return Peers(peers=[await _peer(connection, one) for one in page], next=following)


@endpoints.route("GET", "/api/v1/webrtc/room/<meeting>/stats", Access.PARTICIPANT, answer=RoomStatistics)
async def get_room_statistics(call: Call, meeting: str) -> RoomStatistics:
    """Return counts of the room's participants and tracks."""
    async with call.services.pool.acquire() as connection:
        return RoomStatistics(
            live=await rooms.live(connection, meeting) is not None,
            participants=await participants.count_present(connection, meeting),
            tracks=len(await visits.tracks(connection, meeting)),
            recording=await recordings.running(connection, meeting) is not None,
        )


@endpoints.route("GET", "/api/v1/webrtc/peer/<participant>/status", Access.SIGNED_IN, answer=Participant)
async def get_peer_status(call: Call, participant: str) -> Participant:
    """Return a participant of a meeting that the caller is in."""
    async with call.services.pool.acquire() as connection:
        return public_participant(await _visible(call, connection, participant))


@endpoints.route("GET", "/api/v1/webrtc/peer/<participant>/media", Access.SIGNED_IN, answer=Peer)
async def get_peer_media(call: Call, participant: str) -> Peer:
    """Return a participant of a meeting that the caller is in, with the tracks it publishes."""
    async with call.services.pool.acquire() as connection:
        return await _peer(connection, await _visible(call, connection, participant))


async def _visible(call: Call, connection: Connection, participant: str) -> ParticipantRow:
    """Return a participant if the caller is in its meeting; raises Problem 404 otherwise."""
    row = await participants.anywhere(connection, participant)
    if row is not None:
        try:
            await access.in_meeting(connection, Access.PARTICIPANT, call.principal, row.meeting_id)
        except Problem:
            row = None
    if row is None:
        raise not_found("There is no such participant.")
    return row


async def _peer(connection: Connection, person: ParticipantRow) -> Peer:
    tracks = [row for row in await visits.tracks(connection, person.meeting_id) if row.participant_id == person.id]
    return Peer(
        participant=public_participant(person),
        tracks=[LiveTrack.from_row(row) for row in tracks],
    )


def _live_room(row: LiveRoomRow, rate: RoomRate) -> LiveRoom:
    return LiveRoom.from_row(row, meeting=row.meeting_id, kbps_in=rate.kbps_in, kbps_out=rate.kbps_out)


def _visit(row: VisitRow) -> Visit:
    return Visit.from_row(row, meeting=row.meeting_id, participant=row.participant_id, reason=row.leave_reason)
