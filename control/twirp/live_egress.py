"""Live egress: outputs of a room's broadcast, to RTMP servers, SRT listeners and WebSockets, as HLS and as images.

An egress uses the running broadcast, or starts one. Egresses of participants and tracks have a picture of their own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
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
from control.twirp.egress_targets import Target, address, checked, redacted
from control.twirp.service import Caller, TwirpError
from foundation.broadcasts import LIVE_PATH, PLAYLIST, OutputView
from foundation.film_options import FilmOptions, from_job, to_job

_NAME = "LiveKit egress"
_ADDRESSED = frozenset({"rtmp", "srt"})
"""The kinds of streams that applications add and remove by their URLs."""
_MOST_PICTURES = 3
"""The pictures that are composed at the same time for one room."""


class ShownPage(NamedTuple):
    """A web page that has started: its egress, which has waited for that, and the meeting in which it is shown."""

    egress: str
    meeting: str


class LiveEgress(NamedTuple):
    """A request for a live egress. `film` is its picture, or for a whole room that of a broadcast that it starts.

    `file` are the values of its row for a file that it makes, too. With `page`, it is of the page's meeting.
    """

    asked: Any
    kind: str
    film: FilmOptions
    targets: tuple[Target, ...] = ()
    file: Mapping[str, Any] | None = None
    page: ShownPage | None = None


async def meeting_of(connection: Connection, egress: LiveEgress) -> str | None:
    """Return the meeting that an egress is of."""
    if egress.page is not None:
        return egress.page.meeting
    return await livekit_rooms.meeting_of(connection, egress.asked.room_name)


def check(caller: Caller, egress: LiveEgress) -> None:
    """Raise TwirpError if the server makes no such streams."""
    if egress.film.size == "1080p" or getattr(egress.asked, "audio_only", False):
        raise TwirpError("unimplemented", "streams are 720p with sound; use a preset of 720p")
    if caller.services.config.operator_keys.encrypts and any(
        target.kind == "images" and target.view.folder is None for target in egress.targets
    ):
        raise TwirpError("failed_precondition", "this server encrypts recordings, and does not store images")


async def start(caller: Caller, egress: LiveEgress) -> "protocol.EgressInfo":
    """Add outputs to the room's broadcast, and start it if there is none."""
    check(caller, egress)
    values = {"options": to_job(egress.film), "made": "" if egress.page is None else egress.page.egress}
    state = None
    async with caller.services.pool.acquire() as connection, connection.transaction():
        meeting = await meeting_of(connection, egress)
        if meeting is None or await meetings.lock(connection, meeting) is None:
            raise TwirpError("not_found", "requested room does not exist")
        film = _own_picture(egress.kind, egress.film)
        streams = await _add_outputs(caller.services, connection, meeting, egress.targets, film)
        running = row = await broadcasts.running(connection, meeting)
        if row is None:
            wish = Wish(meeting, caller.actor, caller.address)
            options = egress.film if film is None else FilmOptions()
            row, state = await rules.start_in_transaction(connection, wish, options)
        added = await egresses.add(
            connection,
            streams,
            meeting_id=meeting,
            broadcast_id=row.id,
            room=egress.asked.room_name,
            request=redacted(egress.asked).SerializeToString(),
            kind=egress.kind,
            owns_broadcast=running is None,
            **({**values, "owns": running is None} if egress.file is None else egress.file),
        )
        info = await info_of(connection, added)
    caller.services.nodes.push(state)
    return info


def _own_picture(kind: str, film: FilmOptions) -> FilmOptions | None:
    """Return the picture of an egress; None if it shows the broadcast's."""
    return None if kind in ("room_composite", "web") else film


async def _add_outputs(
    services: Services, connection: Connection, meeting: str, targets: Sequence[Target], film: FilmOptions | None
) -> list[NewStream]:
    """Add outputs of a locked meeting; raises TwirpError if there are too many."""
    present = await broadcasts.outputs(connection, meeting)
    if len(present) + len(targets) > broadcasts.MOST_OUTPUTS:
        raise TwirpError("resource_exhausted", f"a meeting can have {broadcasts.MOST_OUTPUTS} outputs")
    rows = [_row(services, meeting, target, film) for target in targets]
    shown = [(row.shows or {}).get("film") for row in [*present, *rows] if row.kind != "websocket"]
    if len({msgspec.json.encode(picture) for picture in shown}) > _MOST_PICTURES:
        raise TwirpError("resource_exhausted", f"a room can be streamed as {_MOST_PICTURES} different pictures")
    for row in rows:
        await broadcasts.add_output(connection, row)
    return [_stream(row, target) for row, target in zip(rows, targets, strict=True)]


def _row(services: Services, meeting: str, target: Target, film: FilmOptions | None) -> OutputRow:
    output = new_id("output")
    view = msgspec.structs.replace(target.view, film=film)
    return OutputRow(
        id=output,
        meeting_id=meeting,
        kind=target.kind,
        name=_NAME,
        url=target.url,
        stream_key=services.broadcast_seal.seal(output, target.key) if target.key else "",
        watch_key=broadcasts.new_watch_key() if target.kind == "hls" and target.view.folder is None else None,
        created_at=datetime.now(UTC),
        shows=None if view == OutputView() else msgspec.to_builtins(view),
    )


def _stream(row: OutputRow, target: Target) -> NewStream:
    """Return an output as applications see it."""
    view = target.view
    if view.images is not None:
        folder = view.folder if view.folder is not None else f"{rules.images_path(row.meeting_id, row.id)}/"
        return NewStream(row.id, row.kind, folder + view.images.prefix)
    if view.segments is not None:
        names = (view.segments.playlist, view.segments.live_playlist)
        keys = (f"{view.folder}{name}.m3u8" if name else "" for name in names)
        return NewStream(row.id, row.kind, target.shown, *keys)
    shown = target.shown if row.watch_key is None else f"{LIVE_PATH}{row.watch_key}/{PLAYLIST}"
    return NewStream(row.id, row.kind, shown)


async def update_stream(caller: Caller, asked: "protocol.UpdateStreamRequest") -> "protocol.EgressInfo":
    """Add streams to a live egress, and remove others. It ends with its last stream."""
    caller.grants("room_record")
    if asked.add_destinations:
        raise TwirpError("unimplemented", "streams are sent by RTMP or SRT, to URLs")
    added = checked([*asked.add_output_urls], private=caller.services.config.allow_private_broadcasts)
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await egresses.by_id(connection, asked.egress_id.removeprefix(views.EGRESS))
        if row is None:
            raise TwirpError("not_found", "egress does not exist")
        if row.broadcast_id is None or row.ended_at is not None:
            raise TwirpError("failed_precondition", "this egress does not stream, or has ended")
        await meetings.lock(connection, row.meeting_id)
        present = await _present(caller.services, connection, row)
        new = [target for target in added if (target.url, target.key) not in present]
        if new:
            film = _own_picture(row.kind, from_job(row.options))
            streams = await _add_outputs(caller.services, connection, row.meeting_id, new, film)
            await egresses.add_streams(connection, row, streams)
        removed = _named([*asked.remove_output_urls], present)
        await egresses.finish_streams(connection, removed)
    return await _settled(caller.services, row)


async def _present(services: Services, connection: Connection, row: EgressRow) -> dict[tuple[str, str], StreamRow]:
    """Return an egress's running streams by their URLs and keys."""
    streams = (await egresses.streams_of(connection, [row.id])).get(row.id, [])
    running = {stream.id: stream for stream in streams if stream.ended_at is None and stream.kind in _ADDRESSED}
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
            asked = address(url)
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
