"""Egress of web pages: an ingress opens the page in a browser, as a stream in a meeting of its own.

The egress itself, of that meeting, begins when the page has started (`page_progress`); until then its request is kept,
sealed.
"""

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from livekit.protocol import egress as protocol

from control import livekit_admission
from control.events.outgoing import check_url
from control.identity.livekit_tokens import TokenRefused
from control.meetings import grants
from control.meetings.ending import end_in_transaction
from control.services import Services
from control.store import audit, egress_pages, egresses, livekit_rooms, meetings, stream_keys
from control.twirp import live_egress
from control.twirp.egress_targets import redacted
from control.twirp.live_egress import LiveEgress
from control.twirp.service import Caller, TwirpError
from foundation.film_options import SIZES, Size, to_job
from sfu.api.ingress import PageView

_MAX_URL = 2000
_TOKEN_SECONDS = 24 * 3600
_PORTS = {"http": 80, "https": 443}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Request to carry out when a page has started: in protobuf, with the API key and the address of its caller."""

    request: bytes
    key: str
    address: str


def composite_of(asked: "protocol.WebEgressRequest") -> "protocol.RoomCompositeEgressRequest":
    """Return the request for the same outputs of a room that is called like the page's host."""
    order = protocol.RoomCompositeEgressRequest(
        room_name=_host(asked.url),
        audio_only=asked.audio_only,
        video_only=asked.video_only,
        file_outputs=asked.file_outputs,
        stream_outputs=asked.stream_outputs,
        segment_outputs=asked.segment_outputs,
        image_outputs=asked.image_outputs,
    )
    match asked.WhichOneof("output"):
        case "file" | "stream" | "segments" as said:
            getattr(order, said).CopyFrom(getattr(asked, said))
    match asked.WhichOneof("options"):
        case "preset":
            order.preset = asked.preset
        case "advanced":
            order.advanced.CopyFrom(asked.advanced)
    return order


def view_of(services: Services, size: Size, *, announces_start: bool) -> PageView:
    width, height = SIZES[size]
    own = _place(services.config.link_origin)
    return PageView(width=width, height=height, announces_start=announces_start, own=own)


async def template(caller: Caller, asked: "protocol.RoomCompositeEgressRequest", identity: str) -> str:
    """Return the URL of a page that shows a room, with what LiveKit's templates expect: a hidden recorder's token.

    The recorder's `identity` is the id of its egress, as with LiveKit.

    Raises TwirpError if the room does not exist, or people there are asked for consent.
    """
    services = caller.services
    async with services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, asked.room_name)
        row = None if meeting is None else await meetings.by_id(connection, meeting)
    if row is None:
        raise TwirpError("not_found", "requested room does not exist")
    if grants.settings_of(row).consent != "implied":
        raise TwirpError("failed_precondition", "custom_base_url: people in this meeting are asked for consent")
    now = int(time.time())
    rights = {"roomJoin": True, "canSubscribe": True, "hidden": True, "recorder": True}
    claims = {
        "iss": caller.grants("room_record").iss,
        "sub": identity,
        "nbf": now,
        "exp": now + _TOKEN_SECONDS,
        "kind": "egress",
        "video": rights | {"room": asked.room_name, "canPublish": False, "canPublishData": False},
    }
    parts = urlsplit(asked.custom_base_url)
    query = {
        "layout": asked.layout,
        "url": services.config.link_origin.replace("http", "ws", 1),
        "token": await services.livekit_keys.signed(claims),
    }
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *query.items()])))


async def start(
    caller: Caller, asked: Any, egress: LiveEgress, view: PageView, *, made: str, url: str
) -> "protocol.EgressInfo":
    """Have a page opened; `egress` begins when it has started, with the id `made`. `asked` is the request as
    applications see it.
    """
    services, host = caller.services, _host(url)
    if not services.config.web_pages:
        raise TwirpError("failed_precondition", "this server opens no web pages: it has no browser, or ingress is off")
    _check(services, url, view)
    key = caller.grants("room_record").iss
    order = Order(request=egress.asked.SerializeToString(), key=key, address=caller.address)
    async with services.pool.acquire() as connection, connection.transaction():
        try:
            meeting = await livekit_admission.create_unnamed(services, connection, host)
        except TokenRefused as refused:
            raise TwirpError("failed_precondition", "no account can own the page's meeting") from refused
        await audit.write(connection, caller.actor, "create_meeting", meeting, caller.address)
        stream, _ = await stream_keys.create(
            connection,
            meeting,
            None,
            name=host,
            role="publish",
            expires_at=None,
            sealed_url=lambda key: services.ingress_seal.seal(key, url),
            page=view,
        )
        row = await egresses.add(
            connection,
            made=made,
            meeting_id=meeting,
            room=getattr(asked, "room_name", ""),
            request=redacted(asked).SerializeToString(),
            kind=egress.kind,
            options=to_job(egress.film),
            owns=True,
            page=stream.id,
            page_order=services.broadcast_seal.seal(made, msgspec.json.encode(order).decode()),
        )
        return await live_egress.info_of(connection, row)


async def finish(services: Services, egress: str, error: str) -> "protocol.EgressInfo":
    """End the egress of a page, and its meeting; with an error, it has failed."""
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await egress_pages.meeting_of(connection, egress)
        await meetings.lock(connection, meeting)
        row = await egresses.by_id(connection, egress)
        assert row is not None
        await egress_pages.end(connection, row, error)
        states = await end_in_transaction(connection, meeting)
        ended = await egresses.by_id(connection, egress)
        assert ended is not None
        info = await live_egress.info_of(connection, ended)
    services.nodes.push(*states)
    return info


def _check(services: Services, url: str, view: PageView) -> None:
    """Raise TwirpError, or Problem 400, unless the server may open a page; its own pages it may."""
    parts = urlsplit(url)
    if len(url) > _MAX_URL or parts.scheme not in _PORTS:
        raise TwirpError("invalid_argument", "the page's URL must begin with https or http")
    if _place(url) != view.own:
        check_url(urlunsplit(parts._replace(scheme="https")), services.config.allow_private_ingress)


def _place(url: str) -> str:
    """Return the host and port of a URL; raises TwirpError."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    except ValueError as error:
        raise TwirpError("invalid_argument", "this is not a URL") from error


def _host(url: str) -> str:
    return _place(url).rpartition(":")[0]
