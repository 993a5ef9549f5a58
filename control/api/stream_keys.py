"""Stream keys of a meeting, which hosts create for software that is configured once and reconnects by itself."""

from datetime import UTC, datetime

from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings import grants
from control.meetings.ending import ended
from control.problem import Problem, not_found
from control.store import audit, meetings, rooms, stream_keys
from control.store.stream_keys import StreamKeyRow
from sfu.api.desired_state import DesiredState
from sfu.api.stream_key import StreamRole

endpoints = Endpoints("stream keys", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/stream-keys"
_MAX_KEYS = 50
_URLS = {"publish": "/whip", "watch": "/whep"}


class CreateStreamKey(Body, frozen=True, kw_only=True):
    """`name` is shown as the participant's name. A `publish` key sends over WHIP, a `watch` key plays over WHEP."""

    name: Text
    role: StreamRole
    expires_at: Time | None = None


class StreamKey(Answer, frozen=True, kw_only=True):
    """`url` is the endpoint that takes the secret as bearer token. `secret` is shown once, when the key is created."""

    id: str
    name: str
    role: StreamRole
    url: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    secret: str | None = None


class StreamKeys(Answer, frozen=True, kw_only=True):
    keys: list[StreamKey]


@endpoints.route("POST", _PATH, Access.HOST, body=CreateStreamKey, answer=StreamKey, status=201)
async def create_stream_key(call: Call, meeting: str, body: CreateStreamKey) -> StreamKey:
    """Create a stream key. Its secret is the bearer token of an encoder or player, and is shown only once."""
    if call.standing.meeting.status == "ended":
        raise ended()
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise Problem(400, "invalid_request", "The expiry must be in the future.")
    user = call.principal.user.user if call.principal is not None and call.principal.user is not None else None
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        if len(await stream_keys.of_meeting(connection, meeting)) >= _MAX_KEYS:
            raise Problem(409, "too_many_keys", "This meeting has too many stream keys. Delete one first.")
        row, secret = await stream_keys.create(
            connection, meeting, user, name=body.name, role=body.role, expires_at=body.expires_at
        )
        about = {"meeting": meeting, "role": body.role}
        await audit.write(connection, call.actor, "stream_key.created", row.id, call.address, **about)
    return _public(row, secret)


@endpoints.route("GET", _PATH, Access.HOST, answer=StreamKeys)
async def list_stream_keys(call: Call, meeting: str) -> StreamKeys:
    """List the meeting's stream keys, without their secrets."""
    async with call.services.pool.acquire() as connection:
        rows = await stream_keys.of_meeting(connection, meeting)
    return StreamKeys(keys=[_public(row, None) for row in rows])


@endpoints.route("DELETE", f"{_PATH}/<stream_key>", Access.HOST, answer=Done)
async def delete_stream_key(call: Call, meeting: str, stream_key: str) -> Done:
    """Delete a stream key. It stops working at once, and its participants are removed."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        came = await stream_keys.delete(connection, meeting, stream_key)
        if came is None:
            raise not_found("There is no such stream key.")

        def without(state: DesiredState) -> DesiredState:
            for participant in came:
                state = grants.with_removed(state, participant, None)
            return state

        state = await rooms.edit_state(connection, meeting, without)
        await audit.write(connection, call.actor, "stream_key.deleted", stream_key, call.address, meeting=meeting)
    call.services.nodes.push(state)
    return Done()


def _public(row: StreamKeyRow, secret: str | None) -> StreamKey:
    return StreamKey.from_row(row, url=_URLS[row.role], secret=secret)
