"""Live egress: a room's broadcast to RTMP servers and SRT listeners, and as HLS.

An egress uses the running broadcast, or starts one. Applications see addresses with the stream key redacted.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from livekit.protocol import egress as protocol

from control import livekit_views as views
from control.database import Connection
from control.identifiers import new_id
from control.recordings import broadcasts as rules
from control.recordings.broadcasts import Wish
from control.services import Services
from control.store import broadcasts, egresses, livekit_rooms, meetings
from control.store.broadcasts import OutputRow
from control.store.egresses import EgressRow, NewStream, StreamRow
from control.twirp.service import Caller, TwirpError
from foundation.broadcasts import LIVE_PATH, PLAYLIST, OutputKind
from foundation.film_options import FilmOptions, to_job

_MAX_URL = 1024
_SHOWN = 3
_NAME = "LiveKit egress"
_PROTOCOLS: dict[int, OutputKind | None] = {
    protocol.StreamProtocol.DEFAULT_PROTOCOL: None,
    protocol.StreamProtocol.RTMP: "rtmp",
    protocol.StreamProtocol.SRT: "srt",
}
"""The kinds of output by protocol; None: by the URL."""


class _Address(NamedTuple):
    """A stream's address: `url` without its secrets, these as a key, and the address with the secrets redacted."""

    kind: OutputKind
    url: str
    key: str
    shown: str


def _address(text: str) -> _Address:
    """Split a URL of the form rtmp[s]://host[:port]/application/key, or srt://host:port?streamid=…&passphrase=….

    Raises TwirpError, or Problem 400.
    """
    url = text.removesuffix(" live=1")
    path, question, query = url.partition("?")
    where, _, key = path.rpartition("/")
    if not key or len(url) > _MAX_URL:
        raise TwirpError("invalid_argument", "a stream's URL must have the form rtmps://host/application/key")
    if url.startswith("srt:"):
        plain, secrets = rules.split_srt(url, None, private=True)
        return _Address("srt", plain, secrets, f"{path}?{{{_ends(query)}}}" if query else path)
    key += question + query
    return _Address("rtmp", where, key, f"{where}/{{{_ends(key)}}}")


def _ends(secret: str) -> str:
    """Return the ends of a secret, by which its owner recognises it."""
    ends = min(_SHOWN, len(secret) // 3)
    return f"{secret[:ends]}...{secret[len(secret) - ends :]}"


def is_wanted(asked: "protocol.RoomCompositeEgressRequest") -> bool:
    """Return whether a request orders streams or segments."""
    return bool(asked.stream_outputs or asked.segment_outputs or asked.WhichOneof("output") in ("stream", "segments"))


async def start(
    caller: Caller, asked: "protocol.RoomCompositeEgressRequest", options: FilmOptions
) -> "protocol.EgressInfo":
    """Add the requested outputs to the room's broadcast, and start it if there is none."""
    addresses, playlists = _targets(caller, asked)
    if options.size == "1080p" or asked.audio_only:
        raise TwirpError("unimplemented", "streams are 720p with sound; use a preset of 720p")
    state = None
    async with caller.services.pool.acquire() as connection, connection.transaction():
        meeting = await livekit_rooms.meeting_of(connection, asked.room_name)
        if meeting is None or await meetings.lock(connection, meeting) is None:
            raise TwirpError("not_found", "requested room does not exist")
        streams = await _add_outputs(caller.services, connection, meeting, addresses, playlists)
        running = row = await broadcasts.running(connection, meeting)
        if row is None:
            wish = Wish(meeting, caller.actor, caller.address)
            row, state = await rules.start_in_transaction(connection, wish, options)
        egress = await egresses.add(
            connection,
            streams,
            meeting_id=meeting,
            broadcast_id=row.id,
            room=asked.room_name,
            request=_redacted(asked).SerializeToString(),
            kind="room_composite",
            options=to_job(options),
            owns=running is None,
        )
        info = await info_of(connection, egress)
    caller.services.nodes.push(state)
    return info


def _targets(caller: Caller, asked: "protocol.RoomCompositeEgressRequest") -> tuple[list[_Address], int]:
    """Return the addresses of requested streams, and the number of HLS outputs."""
    said = asked.WhichOneof("output")
    streams = [*asked.stream_outputs, *([asked.stream] if said == "stream" else [])]
    segments = [*asked.segment_outputs, *([asked.segments] if said == "segments" else [])]
    if asked.file_outputs or said == "file":
        raise TwirpError("unimplemented", "files and streams are made by separate egresses")
    if any(output.WhichOneof("output") is not None for output in segments):
        raise TwirpError("unimplemented", "segments are written to Parley's own storage only")
    if any(output.protocol not in _PROTOCOLS or output.destinations for output in streams):
        raise TwirpError("unimplemented", "streams are sent by RTMP or SRT, to URLs")
    for output in streams:
        wanted = _PROTOCOLS[output.protocol]
        if wanted is not None and any(_address(url).kind != wanted for url in output.urls):
            raise TwirpError("invalid_argument", "a stream's URL must be one of its protocol")
    return _checked(caller, [url for output in streams for url in output.urls]), len(segments)


def _checked(caller: Caller, urls: list[str]) -> list[_Address]:
    private = caller.services.config.allow_private_broadcasts
    addresses = [_address(url) for url in dict.fromkeys(urls)]
    for address in addresses:
        if address.kind == "srt":
            rules.split_srt(address.url, None, private=private)
        else:
            rules.check_target(address.url, private=private)
    return addresses


async def _add_outputs(
    services: Services, connection: Connection, meeting: str, addresses: list[_Address], playlists: int
) -> list[NewStream]:
    count = len(addresses) + playlists
    if not count:
        raise TwirpError("invalid_argument", "a stream needs a URL")
    if len(await broadcasts.outputs(connection, meeting)) + count > broadcasts.MOST_OUTPUTS:
        raise TwirpError("resource_exhausted", f"a meeting can have {broadcasts.MOST_OUTPUTS} outputs")
    streams = []
    for address in addresses:
        output = new_id("output")
        key = services.broadcast_seal.seal(output, address.key) if address.key else ""
        row = OutputRow(output, meeting, address.kind, _NAME, address.url, key, None, datetime.now(UTC))
        await broadcasts.add_output(connection, row)
        streams.append(NewStream(output, address.kind, address.shown))
    for _ in range(playlists):
        output, watch = new_id("output"), broadcasts.new_watch_key()
        row = OutputRow(output, meeting, "hls", _NAME, "", "", watch, datetime.now(UTC))
        await broadcasts.add_output(connection, row)
        streams.append(NewStream(output, "hls", f"{LIVE_PATH}{watch}/{PLAYLIST}"))
    return streams


def _redacted(asked: "protocol.RoomCompositeEgressRequest") -> "protocol.RoomCompositeEgressRequest":
    """Return a copy of a request without stream keys."""
    copy = protocol.RoomCompositeEgressRequest()
    copy.CopyFrom(asked)
    streams = [*copy.stream_outputs, *([copy.stream] if copy.WhichOneof("output") == "stream" else [])]
    for output in streams:
        output.urls[:] = [_address(url).shown for url in output.urls]
    return copy


async def update_stream(caller: Caller, asked: "protocol.UpdateStreamRequest") -> "protocol.EgressInfo":
    """Add streams to a live egress, and remove others. It ends with its last stream."""
    caller.grants("room_record")
    if asked.add_destinations:
        raise TwirpError("unimplemented", "streams are sent by RTMP or SRT, to URLs")
    added = _checked(caller, [*asked.add_output_urls])
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await egresses.by_id(connection, asked.egress_id.removeprefix(views.EGRESS))
        if row is None:
            raise TwirpError("not_found", "egress does not exist")
        if row.broadcast_id is None or row.ended_at is not None:
            raise TwirpError("failed_precondition", "this egress does not stream, or has ended")
        await meetings.lock(connection, row.meeting_id)
        present = await _present(caller.services, connection, row)
        new = [address for address in added if (address.url, address.key) not in present]
        if new:
            streams = await _add_outputs(caller.services, connection, row.meeting_id, new, 0)
            await egresses.add_streams(connection, row, streams)
        removed = _named([*asked.remove_output_urls], present)
        await egresses.finish_streams(connection, removed)
    return await _settled(caller.services, row)


async def _present(services: Services, connection: Connection, row: EgressRow) -> dict[tuple[str, str], StreamRow]:
    """Return an egress's running streams by their URLs and keys."""
    streams = (await egresses.streams_of(connection, [row.id])).get(row.id, [])
    running = {stream.id: stream for stream in streams if stream.ended_at is None and stream.kind != "hls"}
    present = {}
    for output in await broadcasts.outputs(connection, row.meeting_id):
        if output.id in running:
            key = services.broadcast_seal.open(output.id, output.stream_key) if output.stream_key else ""
            present[output.url, key] = running[output.id]
    return present


def _named(urls: list[str], present: dict[tuple[str, str], StreamRow]) -> list[str]:
    """Return the streams with these URLs, complete or redacted; raises TwirpError if one does not exist."""
    found: list[str] = []
    for url in urls:
        outputs = [stream.id for stream in present.values() if stream.url == url]
        if not outputs:
            asked = _address(url)
            outputs = [stream.id for known, stream in present.items() if known == (asked.url, asked.key)]
        if not outputs:
            raise TwirpError("not_found", "the egress has no stream with this URL")
        found += outputs
    return found


async def stop(services: Services, row: EgressRow) -> "protocol.EgressInfo":
    """End a live egress, and with the last one a broadcast that an egress started."""
    async with services.pool.acquire() as connection, connection.transaction():
        streams = (await egresses.streams_of(connection, [row.id])).get(row.id, [])
        await egresses.finish_streams(connection, [stream.id for stream in streams if stream.ended_at is None])
    return await _settled(services, row)


async def _settled(services: Services, row: EgressRow) -> "protocol.EgressInfo":
    assert row.broadcast_id is not None
    await rules.stop_unused(services, row.meeting_id, row.broadcast_id)
    async with services.pool.acquire() as connection:
        after = await egresses.by_id(connection, row.id)
        assert after is not None
        return await info_of(connection, after)


async def info_of(connection: Connection, row: EgressRow) -> "protocol.EgressInfo":
    """Return an egress as applications see it."""
    return (await infos_of(connection, [row]))[0]


async def infos_of(connection: Connection, rows: list[EgressRow]) -> "list[protocol.EgressInfo]":
    """Return egresses as applications see them."""
    live = [row.id for row in rows if row.broadcast_id is not None]
    streams = await egresses.streams_of(connection, live) if live else {}
    return [views.egress(row, streams.get(row.id, [])) for row in rows]
