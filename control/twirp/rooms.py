"""RoomService: management of rooms and their participants by an application's servers.

Lasting changes (grants, removal, a room's metadata) are written to the room's desired state, as in our own REST API.
Momentary actions (data, a mute, a new name) are sent to the nodes.
"""

from typing import Any

import msgspec
from livekit.protocol import models
from livekit.protocol import room as protocol

from control import livekit_admission
from control import livekit_views as views
from control.database import Connection
from control.identity.livekit_tokens import MAX_ROOM_NAME, TokenRefused
from control.livekit_admission import wish_of
from control.meetings import grants
from control.meetings.ending import end_in_transaction
from control.meetings.telling import tell
from control.store import audit, livekit_rooms, meetings, rooms
from control.twirp.service import Caller, Method, Service, TwirpError, denied, unimplemented
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.phone import KIND as PHONE
from sfu.api.room_acts import (
    CallError,
    CallMethod,
    DescribeParticipant,
    MuteTrack,
    RoomView,
    SayData,
    SeenParticipant,
    SendAway,
    WantTracks,
)
from sfu.livekit import infos, names

MAX_METADATA_BYTES = 64_000
MAX_DATA_BYTES = 60_000
MAX_RPC_BYTES = 15_360
_RPC_MS, _MOST_RPC_MS = 10_000, 60_000
_RPC_CODES: dict[int, str] = {
    CallError.UNSUPPORTED_METHOD: "invalid_argument",
    CallError.RECIPIENT_NOT_FOUND: "not_found",
    CallError.REQUEST_PAYLOAD_TOO_LARGE: "malformed",
    CallError.CONNECTION_TIMEOUT: "canceled",
    CallError.RESPONSE_TIMEOUT: "canceled",
    CallError.RECIPIENT_DISCONNECTED: "unavailable",
}
"""Errors of the server API for those of clients, as LiveKit's server translates them."""


async def create_room(caller: Caller, asked: "protocol.CreateRoomRequest") -> "models.Room":
    """Create a room, or return the existing one with that name."""
    caller.grants("room_create")
    if not asked.name or len(asked.name) > MAX_ROOM_NAME or "\x00" in asked.name:
        raise TwirpError("invalid_argument", f"a room's name has 1 to {MAX_ROOM_NAME} characters")
    _check_metadata(asked.metadata)
    wish = wish_of(asked)
    async with caller.services.pool.acquire() as connection:
        if await livekit_rooms.meeting_of(connection, asked.name) is None:
            async with connection.transaction():
                try:
                    meeting = await livekit_admission.create(caller.services, connection, asked.name, wish)
                except TokenRefused as refused:
                    raise TwirpError("failed_precondition", "no account can own the room's meeting") from refused
                await audit.write(connection, caller.actor, "create_meeting", meeting, caller.address)
        return views.room(await _listed(connection, asked.name))


async def list_rooms(caller: Caller, asked: "protocol.ListRoomsRequest") -> "protocol.ListRoomsResponse":
    caller.grants("room_list")
    async with caller.services.pool.acquire() as connection:
        found = await livekit_rooms.listed(connection, list(asked.names) or None)
    return protocol.ListRoomsResponse(rooms=[views.room(row) for row in found])


async def delete_room(caller: Caller, asked: "protocol.DeleteRoomRequest") -> "protocol.DeleteRoomResponse":
    """End the meeting of a room and disconnect everybody."""
    caller.grants("room_create")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        meeting = await _meeting(connection, asked.room)
        states = await end_in_transaction(connection, meeting)
        await audit.write(connection, caller.actor, "end_meeting", meeting, caller.address)
    caller.services.nodes.push(*states)
    return protocol.DeleteRoomResponse()


async def list_participants(
    caller: Caller, asked: "protocol.ListParticipantsRequest"
) -> "protocol.ListParticipantsResponse":
    caller.grants_in("room_admin", asked.room)
    view = await _view(caller, asked.room)
    return protocol.ListParticipantsResponse(participants=views.participants(view) if view is not None else [])


async def get_participant(caller: Caller, asked: "protocol.RoomParticipantIdentity") -> "models.ParticipantInfo":
    caller.grants_in("room_admin", asked.room)
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    return views.participant(view, seen)


async def remove_participant(
    caller: Caller, asked: "protocol.RoomParticipantIdentity"
) -> "protocol.RemoveParticipantResponse":
    """Remove a participant. It may return with a token unless a host or the application's tokens prevent that."""
    caller.grants_in("room_admin", asked.room)
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    person = seen.info.participant
    async with caller.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, view.room)
        state = await rooms.edit_state(connection, view.room, lambda known: grants.with_removed(known, person, None))
        await tell(caller, connection, view.room, "participant.removed", person, ban=False)
    caller.services.nodes.push(state)
    return protocol.RemoveParticipantResponse()


async def mute_published_track(
    caller: Caller, asked: "protocol.MuteRoomTrackRequest"
) -> "protocol.MuteRoomTrackResponse":
    """Mute a track. An SDK's client may unmute it; for Parley's own clients, the source stays muted until released."""
    caller.grants_in("room_admin", asked.room)
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    about = next((track for track in view.tracks if asked.track_sid == names.track_sid(track.track)), None)
    if about is None or about.participant != seen.info.participant:
        return protocol.MuteRoomTrackResponse()
    if not seen.info.identity or seen.info.kind == PHONE:  # its client does not unmute what an application muted
        await _hold(caller, view.room, seen, about.source, asked.muted)
    elif asked.muted:
        await caller.services.nodes.act(view.room, MuteTrack(track=about.track))
    else:
        raise TwirpError("failed_precondition", "remote unmute not enabled")
    muted = msgspec.structs.replace(about, muted=asked.muted)
    return protocol.MuteRoomTrackResponse(track=infos.track(muted))


async def _hold(caller: Caller, room: str, seen: SeenParticipant, source: Source, muted: bool) -> None:
    def edit(held: Grants) -> Grants:
        others = tuple(one for one in held.muted if one != source)
        return msgspec.structs.replace(held, muted=(*others, source) if muted else others)

    await _edit_grants(caller, room, seen, edit)


async def _edit_grants(caller: Caller, room: str, seen: SeenParticipant, edit: Any) -> Grants:
    """Edit a participant's grants in the desired state, where they last."""
    person = seen.info.participant

    def edited(state: DesiredState) -> DesiredState:
        return grants.with_grants(state, person, edit(state.participants.get(person) or seen.grants))

    async with caller.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, room)
        state = await rooms.edit_state(connection, room, edited)
    if state is None:
        raise TwirpError("not_found", "participant does not exist")
    caller.services.nodes.push(state)
    return state.participants[person]


async def update_participant(caller: Caller, asked: "protocol.UpdateParticipantRequest") -> "models.ParticipantInfo":
    """Change name, metadata, attributes and permissions; fields that are not given stay."""
    caller.grants_in("room_admin", asked.room)
    _check_metadata(asked.metadata)
    if "\x00" in asked.name or len(asked.name) > MAX_ROOM_NAME:
        raise TwirpError("invalid_argument", f"a name has at most {MAX_ROOM_NAME} characters")
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    if asked.HasField("permission"):
        given = await _edit_grants(caller, view.room, seen, lambda held: _granted(held, asked.permission))
        seen = msgspec.structs.replace(seen, grants=given)
    if asked.name or asked.metadata or asked.attributes:
        act = DescribeParticipant(
            participant=seen.info.participant,
            name=asked.name or None,
            metadata=asked.metadata or None,
            attributes=dict(asked.attributes),
        )
        if not await caller.services.nodes.act(view.room, act):
            raise TwirpError("not_found", "participant does not exist")
        attributes = {name: value for name, value in (seen.info.attributes | act.attributes).items() if value}
        info = msgspec.structs.replace(
            seen.info,
            name=act.name or seen.info.name,
            metadata=act.metadata or seen.info.metadata,
            attributes=attributes,
        )
        seen = msgspec.structs.replace(seen, info=info)
    return views.participant(view, seen)


async def move_participant(
    caller: Caller, asked: "protocol.MoveParticipantRequest"
) -> "protocol.MoveParticipantResponse":
    """Send a client of LiveKit's SDKs to another room, which exists. It reconnects there with a new token."""
    token = caller.grants_in("room_admin", asked.room)
    if token.video.destination_room != asked.destination_room:
        raise denied()
    if asked.room == asked.destination_room:
        raise TwirpError("invalid_argument", "destination room is the same as source room")
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    async with caller.services.pool.acquire() as connection:
        meeting = await _meeting(connection, asked.destination_room)
    given = await livekit_admission.token_for(caller.services, token.iss, seen, asked.destination_room)
    act = SendAway(participant=seen.info.participant, meeting=meeting, title=asked.destination_room, token=given)
    if not seen.info.identity or not await caller.services.nodes.act(view.room, act):
        raise TwirpError("failed_precondition", "only clients of LiveKit's SDKs can be moved")
    return protocol.MoveParticipantResponse()


def _granted(held: Grants, permission: "models.ParticipantPermission") -> Grants:
    """Return the grants of a permission. Sources muted by a host and a role given by a host stay."""
    publish: tuple[Source, ...] = ()
    if permission.can_publish:
        publish = tuple(Source)
        if permission.can_publish_sources:
            named = {names.known_source(source) for source in permission.can_publish_sources}
            publish = tuple(source for source in Source if source in named)
    return msgspec.structs.replace(
        held,
        publish=publish,
        subscribe=permission.can_subscribe,
        data=permission.can_publish_data,
        describe=permission.can_update_metadata,
    )


async def update_subscriptions(
    caller: Caller, asked: "protocol.UpdateSubscriptionsRequest"
) -> "protocol.UpdateSubscriptionsResponse":
    caller.grants_in("room_admin", asked.room)
    view, seen = await seen_participant(caller, asked.room, asked.identity)
    wanted = {*asked.track_sids, *(sid for of in asked.participant_tracks for sid in of.track_sids)}
    tracks = tuple(track.track for track in view.tracks if names.track_sid(track.track) in wanted)
    await caller.services.nodes.act(
        view.room, WantTracks(participant=seen.info.participant, tracks=tracks, on=asked.subscribe)
    )
    return protocol.UpdateSubscriptionsResponse()


async def update_room_metadata(caller: Caller, asked: "protocol.UpdateRoomMetadataRequest") -> "models.Room":
    caller.grants_in("room_admin", asked.room)
    _check_metadata(asked.metadata)
    async with caller.services.pool.acquire() as connection:
        async with connection.transaction():
            meeting = await _meeting(connection, asked.room)
            await meetings.lock(connection, meeting)
            state = await rooms.edit_state(
                connection, meeting, lambda known: msgspec.structs.replace(known, metadata=asked.metadata)
            )
        caller.services.nodes.push(state)
        return views.room(await _listed(connection, asked.room))


async def send_data(caller: Caller, asked: "protocol.SendDataRequest") -> "protocol.SendDataResponse":
    """Send a message to a room or to some participants; as with data channels, delivery is not confirmed."""
    caller.grants_in("room_admin", asked.room)
    if len(asked.data) > MAX_DATA_BYTES:
        raise TwirpError("invalid_argument", f"data must not exceed {MAX_DATA_BYTES} bytes")
    view = await _view(caller, asked.room)
    if view is None:
        async with caller.services.pool.acquire() as connection:
            await _meeting(connection, asked.room)
        return protocol.SendDataResponse()  # the room is empty
    sids, identities = set(asked.destination_sids), set(asked.destination_identities)
    to = tuple(
        seen.info.participant
        for seen in view.participants
        if names.participant_sid(seen.info.participant) in sids or infos.identity_of(seen.info) in identities
    )
    if to or not (sids or identities):
        reliable = asked.kind == models.DataPacket.Kind.RELIABLE
        await caller.services.nodes.act(
            view.room, SayData(payload=asked.data, topic=asked.topic[:255], to=to, reliable=reliable)
        )
    return protocol.SendDataResponse()


async def perform_rpc(caller: Caller, asked: "protocol.PerformRpcRequest") -> "protocol.PerformRpcResponse":
    """Call a method of a participant's client, and return its answer."""
    caller.grants_in("room_admin", asked.room)
    if not asked.destination_identity:
        raise TwirpError("invalid_argument", "destination identity is required")
    if len(asked.payload.encode()) > MAX_RPC_BYTES:
        said = f"RpcError {CallError.REQUEST_PAYLOAD_TOO_LARGE.value}: Request payload too large"
        raise TwirpError("malformed", said)
    view, seen = await seen_participant(caller, asked.room, asked.destination_identity)
    call = CallMethod(
        participant=seen.info.participant,
        method=asked.method,
        payload=asked.payload,
        timeout_ms=min(asked.response_timeout_ms or _RPC_MS, _MOST_RPC_MS),
    )
    answer = await caller.services.nodes.call(view.room, call)
    if answer is None:
        raise TwirpError("not_found", "participant does not exist")
    if answer.error:
        said = f"RpcError {answer.error}: {answer.message}" + (f": {answer.data}" if answer.data else "")
        raise TwirpError(_RPC_CODES.get(answer.error, "internal"), said)
    return protocol.PerformRpcResponse(payload=answer.payload)


def _check_metadata(metadata: str) -> None:
    if len(metadata.encode()) > MAX_METADATA_BYTES or "\x00" in metadata:
        raise TwirpError("invalid_argument", f"metadata must not exceed {MAX_METADATA_BYTES} bytes, nor contain NUL")


async def _meeting(connection: Connection, room: str) -> str:
    found = await livekit_rooms.meeting_of(connection, room)
    if found is None:
        raise TwirpError("not_found", "requested room does not exist")
    return found


async def _listed(connection: Connection, room: str) -> livekit_rooms.ListedRoom:
    found = await livekit_rooms.one(connection, await _meeting(connection, room))
    if found is None:
        raise TwirpError("not_found", "requested room does not exist")
    return found


async def _view(caller: Caller, room: str) -> RoomView | None:
    async with caller.services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, room)
    return await caller.services.nodes.view(meeting) if meeting is not None else None


async def seen_participant(caller: Caller, room: str, identity: str) -> tuple[RoomView, SeenParticipant]:
    """Return a live room, and the participant with an identity there; raises TwirpError."""
    view = await _view(caller, room)
    seen = views.named(view, identity)
    if view is None or seen is None:
        raise TwirpError("not_found", "participant does not exist")
    return view, seen


SERVICE: Service = {
    "CreateRoom": Method(protocol.CreateRoomRequest, create_room),
    "ListRooms": Method(protocol.ListRoomsRequest, list_rooms),
    "DeleteRoom": Method(protocol.DeleteRoomRequest, delete_room),
    "ListParticipants": Method(protocol.ListParticipantsRequest, list_participants),
    "GetParticipant": Method(protocol.RoomParticipantIdentity, get_participant),
    "RemoveParticipant": Method(protocol.RoomParticipantIdentity, remove_participant),
    "MutePublishedTrack": Method(protocol.MuteRoomTrackRequest, mute_published_track),
    "UpdateParticipant": Method(protocol.UpdateParticipantRequest, update_participant),
    "UpdateSubscriptions": Method(protocol.UpdateSubscriptionsRequest, update_subscriptions),
    "SendData": Method(protocol.SendDataRequest, send_data),
    "UpdateRoomMetadata": Method(protocol.UpdateRoomMetadataRequest, update_room_metadata),
    "ForwardParticipant": Method(protocol.ForwardParticipantRequest, unimplemented("a participant is in one room")),
    "MoveParticipant": Method(protocol.MoveParticipantRequest, move_participant),
    "PerformRpc": Method(protocol.PerformRpcRequest, perform_rpc),
}
