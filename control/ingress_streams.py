"""Incoming streams of ingress (sfu.api.ingress): admission by stream key, their transports, and reports.

Every stream has a stream key, and its participant is that of the key. A host who creates a key consents to recording
and captions on behalf of the stream.
"""

import msgspec

from control import stream_key_admission
from control.nodes.transport_client import TransportClient
from control.placement import placing
from control.problem import Problem
from control.services import Services
from control.store import meetings, rooms, stream_keys
from control.store.stream_keys import StreamKeyRow
from control.stream_key_admission import Refused
from sfu.api.ingress import (
    AUDIO_TRACK,
    NOBODY,
    VIDEO_TRACK,
    CheckedKey,
    CloseStream,
    IngressOrders,
    IngressReport,
    KeyCheck,
    OpenedStream,
    OpenStream,
    PageView,
    StreamState,
    UrlOrder,
)
from sfu.api.plain_transport import ReceiveTransport, SrtpKey
from sfu.api.stream_key import StreamKeyUse


async def check(services: Services, wish: KeyCheck) -> CheckedKey:
    """Return the stream of a key, which then belongs to the ingress that asks, or the refusal."""
    try:
        hashed = bytes.fromhex(wish.key_hash)
    except ValueError:
        hashed = b""
    async with services.pool.acquire() as connection, connection.transaction():
        try:
            use = StreamKeyUse(key_hash=wish.key_hash, role="publish")
            key = await stream_key_admission.checked(connection, hashed, use)
        except Refused as refused:
            return CheckedKey(code=refused.answer.code, detail=refused.answer.detail)
        if key.source_url:
            return CheckedKey(code="not_permitted", detail="This stream is read from a URL.")
        await stream_keys.take(connection, key.id, wish.instance)
    return CheckedKey(stream=key.id)


async def open_stream(services: Services, wish: OpenStream, ingress: str) -> OpenedStream:
    """Admit a stream to its room; return the transport for its media, or the refusal. `ingress` is its address."""
    try:
        return await _open(services, wish, ingress)
    except Refused as refused:
        return OpenedStream(code=refused.answer.code, detail=refused.answer.detail)
    except Problem as problem:
        return OpenedStream(code=problem.code, detail=problem.detail, again=problem.status >= 429)


async def _open(services: Services, wish: OpenStream, ingress: str) -> OpenedStream:
    tracks = (*([VIDEO_TRACK] if wish.video else []), *([AUDIO_TRACK] if wish.audio else []))
    key = await _held(services, wish.stream, wish.instance)
    await placing.check(services, key.meeting_id)
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await meetings.lock(connection, key.meeting_id)
        state = await rooms.state(connection, key.meeting_id)
        if meeting is None or state is None or state.ended:
            raise Refused("ended", "The meeting has ended.")
        if state.e2ee:
            raise Refused("not_permitted", "Streams cannot join an end-to-end encrypted meeting.")
        if key.page is None and not await stream_keys.has_people(connection, meeting.id):
            return OpenedStream(code=NOBODY, detail="Nobody is in the meeting yet.", again=True)
        person = await stream_keys.participant(connection, key)
        await stream_key_admission.check_room(services, connection, meeting, state, person)
        placement = await placing.place(services, connection, meeting.id, services.config.region)
    client = await _client(services, meeting.id)
    for earlier in (await client.list()).transports:
        if earlier.participant == person.id:
            await client.close(earlier.transport)
    opened = await client.open(
        ReceiveTransport(
            participant=person.id,
            name=person.name,
            epoch=placement.epoch,
            tracks=tracks,
            srtp=SrtpKey(),
            consent=("recording", "captions") if key.page is None else ("recording",),
            kind="ingress",
            identity=person.identity or "",
            metadata=person.metadata,
        ),
        part=ingress,
    )
    return OpenedStream(transport=opened.transport, address=opened.address, port=opened.port, srtp=opened.srtp)


async def close_stream(services: Services, wish: CloseStream) -> None:
    """Close the transport of a stream; its participant leaves."""
    async with services.pool.acquire() as connection:
        key = await stream_keys.by_id(connection, wish.stream)
    if key is not None:
        client = await _client(services, key.meeting_id)
        await client.close(wish.transport)


async def take_report(services: Services, report: IngressReport) -> IngressOrders:
    """Store the states of an ingress's streams; return those that may continue, and the URLs to read."""
    async with services.pool.acquire() as connection, connection.transaction():
        held = [
            stream
            for stream, state in sorted(report.streams.items())
            if await stream_keys.note(connection, stream, report.instance, state)
        ]
        await stream_keys.claim_sources(connection, report.instance, report.free, pages=False)
        if report.free_pages:
            await stream_keys.claim_sources(connection, report.instance, report.free_pages, pages=True)
        sources = await stream_keys.sources(connection, report.instance)
    private = services.config.allow_private_ingress
    orders = [
        UrlOrder(
            stream=key.id,
            url=services.ingress_seal.open(key.id, key.source_url),
            private=private,
            page=None if key.page is None else msgspec.convert(key.page, PageView),
        )
        for key in sources
    ]
    return IngressOrders(held=held, urls=orders)


def reported(key: StreamKeyRow) -> StreamState | None:
    """Return the latest state of a key's stream; None if it has none."""
    return None if key.report is None else msgspec.convert(key.report, StreamState)


async def _held(services: Services, stream: str, instance: str) -> StreamKeyRow:
    async with services.pool.acquire() as connection:
        key = await stream_keys.by_id(connection, stream)
    if key is None:
        raise Refused("bad_token", "The stream key is invalid: it was deleted or has expired.")
    if key.ingress != instance:
        raise Refused("not_permitted", "The stream was started again on another connection.")
    return key


async def _client(services: Services, meeting: str) -> TransportClient:
    node = await services.nodes.of_meeting(meeting)
    if node is None:
        raise Problem(503, "no_node", "This meeting has no live room.")
    return TransportClient(node, services.config.node_secret, meeting, services.parts_http)
