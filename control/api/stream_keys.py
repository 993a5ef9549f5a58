"""Stream keys of a meeting, which hosts create for software that is configured once and reconnects by itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from quart import request
from yarl import URL

from control import ingress_streams
from control.api.paging import NamedListQuery, cut
from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.events.outgoing import check_media_url
from control.meetings import grants
from control.meetings.ending import ended
from control.problem import Problem, not_found
from control.store import audit, meetings, rooms, stream_keys
from control.store.stream_keys import StreamKeyRow
from sfu.api.desired_state import DesiredState
from sfu.api.ingress import StreamPhase, StreamProtocol
from sfu.api.stream_key import StreamRole

endpoints = Endpoints("stream keys", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/stream-keys"
_MAX_KEYS = 50
_NO_INGRESS = "The ingress server does not respond."
_SILENT = timedelta(seconds=10)
SourceUrl = Annotated[str, msgspec.Meta(max_length=2000)]
_URLS = {"publish": "/whip", "watch": "/whep"}


class CreateStreamKey(Body, frozen=True, kw_only=True):
    """`name` is shown as the participant's name. A `publish` key sends over WHIP or RTMP, a `watch`
    key plays over WHEP.

    With `source_url`, an http or https URL of a file or an HLS playlist, the server reads the stream from there while
    somebody is in the meeting. Such a key cannot be used by an encoder.
    """

    name: Text
    role: StreamRole
    expires_at: Time | None = None
    source_url: SourceUrl = ""


class StreamReport(Answer, frozen=True, kw_only=True):
    """The state of an incoming stream since `since`. `error` is the latest problem.

    `bits_per_second` and `frames_per_second` are those of the incoming stream. `dropped` counts frames that the server
    skipped because it was too busy.
    """

    phase: StreamPhase
    since: Time
    protocol: StreamProtocol
    bits_per_second: int
    width: int
    height: int
    frames_per_second: float
    dropped: int
    attempts: int
    error: str


class StreamKey(Answer, frozen=True, kw_only=True):
    """`url` is the endpoint that accepts the secret as bearer token. `secret` is shown once, when the key is created.

    `rtmp_urls` are the addresses at which an encoder publishes with the secret as its stream key, `srt_urls` those with
    the secret as stream id (`?streamid=`). `source_url` is the URL that is read, without its query and password.
    `state` is the latest state of a stream by RTMP, by SRT or from a URL.
    """

    id: str
    name: str
    role: StreamRole
    url: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    rtmp_urls: list[str]
    srt_urls: list[str]
    source_url: str
    state: StreamReport | None
    secret: str | None = None


class StreamKeyQuery(NamedListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at", "name", "-name"] = "created_at"


class StreamKeys(Answer, frozen=True, kw_only=True):
    keys: list[StreamKey]
    next: str | None


@endpoints.route("POST", _PATH, Access.HOST, body=CreateStreamKey, answer=StreamKey, status=201)
async def create_stream_key(call: Call, meeting: str, body: CreateStreamKey) -> StreamKey:
    """Create a stream key. Its secret is the bearer token of an encoder or player, and is shown only once."""
    if call.standing.meeting.status == "ended":
        raise ended()
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise Problem(400, "invalid_request", "The expiry must be in the future.")
    if body.source_url:
        _check_source(call, body)
    user = call.principal.user.user if call.principal is not None and call.principal.user is not None else None
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        if len(await stream_keys.of_meeting(connection, meeting)) >= _MAX_KEYS:
            raise Problem(409, "too_many_keys", "This meeting has too many stream keys. Delete one first.")
        row, secret = await stream_keys.create(
            connection,
            meeting,
            user,
            name=body.name,
            role=body.role,
            expires_at=body.expires_at,
            sealed_url=(lambda key: call.services.ingress_seal.seal(key, body.source_url)) if body.source_url else None,
        )
        about = {"meeting": meeting, "role": body.role}
        await audit.write(connection, call.actor, "stream_key.created", row.id, call.address, **about)
    return _public(call, row, "" if body.source_url else secret)


@endpoints.route("GET", _PATH, Access.HOST, query=StreamKeyQuery, answer=StreamKeys)
async def list_stream_keys(call: Call, meeting: str, query: StreamKeyQuery) -> StreamKeys:
    """List the meeting's stream keys, without their secrets."""
    async with call.services.pool.acquire() as connection:
        rows = await stream_keys.of_meeting(connection, meeting)
    page, following = cut(StreamKey, [_public(call, row, None) for row in rows], query)
    return StreamKeys(keys=page, next=following)


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


def _check_source(call: Call, body: CreateStreamKey) -> None:
    """Raise Problem unless the server can read the stream from its URL."""
    if not (call.services.config.rtmp_urls or call.services.config.srt_urls):
        raise Problem(409, "no_ingress", "This server does not accept streams: ingress is off.")
    if body.role != "publish":
        raise Problem(400, "invalid_request", "A stream key with a URL must have the role publish.")
    check_media_url(body.source_url, call.services.config.allow_private_ingress)


def _public(call: Call, row: StreamKeyRow, secret: str | None) -> StreamKey:
    config = call.services.config
    takes_media = row.role == "publish" and not row.source_url
    source = call.services.ingress_seal.open(row.id, row.source_url) if row.source_url else ""
    return StreamKey.from_row(
        row,
        url=_URLS[row.role],
        secret=secret,
        rtmp_urls=_reached_at(config.rtmp_urls) if takes_media else [],
        srt_urls=_reached_at(config.srt_urls) if takes_media else [],
        source_url=_shown(source),
        state=_state(row),
    )


def _reached_at(urls: Sequence[str]) -> list[str]:
    """Return addresses of ingress, with the host of the request if no other is known."""
    host = urlsplit(f"//{request.host}").hostname or "localhost"
    return [url.replace("{host}", f"[{host}]" if ":" in host else host) for url in urls]


def _shown(url: str) -> str:
    """Return a URL without its user, password and query, which may be secret."""
    return str(URL(url).with_user(None).with_query(None).with_fragment(None)) if url else ""


def _state(row: StreamKeyRow) -> StreamReport | None:
    """Return the state of a stream. If its ingress has stopped reporting, the stream does not count as live."""
    state = ingress_streams.reported(row)
    if state is None:
        return None
    told = msgspec.structs.asdict(state) | {"since": datetime.fromtimestamp(state.since / 1000, UTC)}
    is_silent = row.reported_at is None or datetime.now(UTC) - row.reported_at > _SILENT
    if is_silent and state.phase not in {"waiting", "ended"}:
        told |= {
            "phase": "waiting",
            "error": _NO_INGRESS,
            "bits_per_second": 0,
        }
    return StreamReport(**told)
