"""LiveKit's ingress API: streams that encoders send by RTMP or WHIP, or that the server reads from URLs, for a room by
name.

An ingress is a stream key with a participant of its own. It joins while somebody is in the room. LiveKit's API lists
its key, which is therefore stored encrypted instead of hashed.
"""

from datetime import UTC, datetime, timedelta

import msgspec
from livekit.protocol import ingress as protocol

from control.database import Connection
from control.events.outgoing import check_media_url
from control.livekit_admission import RoomWish, create
from control.meetings import grants
from control.problem import Problem
from control.store import audit, ingresses, livekit_rooms, rooms, stream_keys
from control.store.ingresses import Description, IngressRow
from control.twirp.service import Caller, Method, Service, TwirpError, of_problem
from sfu.api.desired_state import DesiredState
from sfu.api.ingress import StreamState
from sfu.livekit import names

PREFIX = "IN_"
_MOST = 1000
_MAX_TEXT = 4000
_INPUTS = (protocol.RTMP_INPUT, protocol.WHIP_INPUT, protocol.URL_INPUT)
_SILENT = timedelta(seconds=10)
_STATUSES = {
    "waiting": protocol.IngressState.ENDPOINT_INACTIVE,
    "connecting": protocol.IngressState.ENDPOINT_BUFFERING,
    "live": protocol.IngressState.ENDPOINT_PUBLISHING,
    "retrying": protocol.IngressState.ENDPOINT_BUFFERING,
    "ended": protocol.IngressState.ENDPOINT_COMPLETE,
}


async def start(caller: Caller, asked: "protocol.CreateIngressRequest") -> "protocol.IngressInfo":
    """Create an ingress, and its room if there is none."""
    caller.grants("ingress_admin")
    services = caller.services
    _check(caller, asked)
    info = protocol.IngressInfo(
        name=asked.name,
        input_type=asked.input_type,
        enable_transcoding=asked.input_type != protocol.WHIP_INPUT,
        audio=asked.audio,
        video=asked.video,
        room_name=asked.room_name,
        participant_identity=asked.participant_identity,
        participant_name=asked.participant_name,
        participant_metadata=asked.participant_metadata,
        reusable=asked.input_type != protocol.URL_INPUT,
        enabled=True,
    )
    url = asked.url if asked.input_type == protocol.URL_INPUT else ""
    async with services.pool.acquire() as connection, connection.transaction():
        if await ingresses.count(connection) >= _MOST:
            raise TwirpError("resource_exhausted", "there are too many ingresses")
        meeting = await _meeting(caller, connection, asked.room_name)
        row, secret = await stream_keys.create(
            connection,
            meeting,
            None,
            name=_description(info).name,
            role="publish",
            expires_at=None,
            sealed_url=(lambda key: services.ingress_seal.seal(key, url)) if url else None,
        )
        await ingresses.add(connection, row.id, _description(info), services.ingress_seal.seal(row.id, secret))
        about = {"meeting": meeting, "role": "publish"}
        await audit.write(connection, caller.actor, "stream_key.created", row.id, caller.address, **about)
        made = await ingresses.by_id(connection, row.id)
    assert made is not None
    return _info(caller, made)


async def update(caller: Caller, asked: "protocol.UpdateIngressRequest") -> "protocol.IngressInfo":
    """Change the description of an ingress. A live stream keeps the previous description."""
    caller.grants("ingress_admin")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await _row(connection, asked.ingress_id)
        info = protocol.IngressInfo.FromString(row.request)
        for field in ("name", "room_name", "participant_identity", "participant_name", "participant_metadata"):
            if value := getattr(asked, field):
                setattr(info, field, value)
        _check(caller, info)
        await ingresses.change(connection, row.id, _description(info))
        if info.room_name != row.room:
            await ingresses.move(connection, row.id, await _meeting(caller, connection, info.room_name))
        changed = await ingresses.by_id(connection, row.id)
    assert changed is not None
    return _info(caller, changed)


async def list_ingresses(caller: Caller, asked: "protocol.ListIngressRequest") -> "protocol.ListIngressResponse":
    caller.grants("ingress_admin")
    async with caller.services.pool.acquire() as connection:
        rows = await ingresses.listed(connection, asked.room_name, asked.ingress_id.removeprefix(PREFIX))
    return protocol.ListIngressResponse(items=[_info(caller, row) for row in rows])


async def delete(caller: Caller, asked: "protocol.DeleteIngressRequest") -> "protocol.IngressInfo":
    """Delete an ingress; its participant is removed."""
    caller.grants("ingress_admin")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await _row(connection, asked.ingress_id)
        came = await stream_keys.delete(connection, row.meeting_id, row.id) or []

        def without(state: DesiredState) -> DesiredState:
            for participant in came:
                state = grants.with_removed(state, participant, None)
            return state

        state = await rooms.edit_state(connection, row.meeting_id, without)
        about = {"meeting": row.meeting_id}
        await audit.write(connection, caller.actor, "stream_key.deleted", row.id, caller.address, **about)
    caller.services.nodes.push(state)
    return _info(caller, row)


def _check(caller: Caller, asked: "protocol.CreateIngressRequest | protocol.IngressInfo") -> None:
    """Raise TwirpError unless the server accepts such a stream."""
    if not asked.room_name or not asked.participant_identity:
        raise TwirpError("invalid_argument", "room_name and participant_identity are required")
    texts = (asked.name, asked.room_name, asked.participant_identity, asked.participant_name)
    if any(len(text) > 200 for text in texts) or len(asked.participant_metadata) > _MAX_TEXT:
        raise TwirpError("invalid_argument", "a name, or the metadata, is too long")
    if "\x00" in "".join((*texts, asked.participant_metadata)):
        raise TwirpError("invalid_argument", "text must not contain NUL characters")
    if asked.input_type not in _INPUTS:
        raise TwirpError("invalid_argument", "invalid input type")
    if asked.input_type != protocol.WHIP_INPUT and not caller.services.config.rtmp_urls:
        raise TwirpError("failed_precondition", "this server does not accept such streams: ingress is off")
    if isinstance(asked, protocol.CreateIngressRequest) and asked.input_type == protocol.URL_INPUT:
        try:
            check_media_url(asked.url, caller.services.config.allow_private_ingress)
        except Problem as problem:
            raise of_problem(problem) from problem


async def _meeting(caller: Caller, connection: Connection, room: str) -> str:
    meeting = await livekit_rooms.meeting_of(connection, room)
    return meeting if meeting is not None else await create(caller.services, connection, room, RoomWish())


async def _row(connection: Connection, ingress: str) -> IngressRow:
    row = await ingresses.by_id(connection, ingress.removeprefix(PREFIX))
    if row is None:
        raise TwirpError("not_found", "ingress does not exist")
    return row


def _description(info: "protocol.IngressInfo") -> Description:
    return Description(
        room=info.room_name,
        identity=info.participant_identity,
        name=info.participant_name or info.participant_identity,
        metadata=info.participant_metadata,
        request=info.SerializeToString(),
    )


def _info(caller: Caller, row: IngressRow) -> "protocol.IngressInfo":
    services = caller.services
    info = protocol.IngressInfo.FromString(row.request)
    info.ingress_id = PREFIX + row.id
    if info.input_type == protocol.URL_INPUT:
        info.url = services.ingress_seal.open(row.id, row.source_url)
    else:
        info.stream_key = services.ingress_seal.open(row.id, row.secret)
        info.url = _address(caller, is_rtmp=info.input_type == protocol.RTMP_INPUT)
    info.state.CopyFrom(_state(row))
    return info


def _address(caller: Caller, *, is_rtmp: bool) -> str:
    config = caller.services.config
    origin = config.link_origin
    if not is_rtmp:
        return f"{origin}/whip"
    host = origin.partition("://")[2].rpartition(":")[0] or origin.partition("://")[2] or "localhost"
    return config.rtmp_urls[0].replace("{host}", host) if config.rtmp_urls else ""


def _state(row: IngressRow) -> "protocol.IngressState":
    """Return the state of a stream; inactive if its ingress has stopped reporting. A WHIP stream has no state."""
    is_silent = row.reported_at is None or datetime.now(UTC) - row.reported_at > _SILENT
    if row.report is None:
        return protocol.IngressState(status=protocol.IngressState.ENDPOINT_INACTIVE)
    reported = msgspec.convert(row.report, StreamState)
    status = _STATUSES["waiting" if is_silent and reported.phase != "ended" else reported.phase]
    state = protocol.IngressState(status=status, error=reported.error, room_id=names.room_sid(row.meeting_id))
    state.started_at = reported.since * 1_000_000
    if reported.width:
        state.video.CopyFrom(
            protocol.InputVideoState(
                mime_type="video/h264",
                average_bitrate=min(reported.bits_per_second, 0x7FFFFFFF),
                width=reported.width,
                height=reported.height,
                framerate=reported.frames_per_second,
            )
        )
    return state


SERVICE: Service = {
    "CreateIngress": Method(protocol.CreateIngressRequest, start),
    "UpdateIngress": Method(protocol.UpdateIngressRequest, update),
    "ListIngress": Method(protocol.ListIngressRequest, list_ingresses),
    "DeleteIngress": Method(protocol.DeleteIngressRequest, delete),
}
