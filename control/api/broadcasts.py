"""Broadcasts of a meeting: hosts stream its composed picture and sound live over RTMP, SRT and as HLS."""

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from quart import Response

from control.api.types import Answer, Body, Done, Secret, Text, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.http import file_response
from control.identifiers import new_id
from control.problem import Problem, not_found
from control.recordings import broadcasts as rules
from control.recordings.broadcasts import Wish
from control.services import Services
from control.store import audit, broadcasts, egresses, meetings
from control.store.broadcasts import BroadcastRow, OutputRow
from foundation.broadcasts import LIVE_PATH, LIVE_PREFIX, PLAYLIST, OutputKind, OutputPhase, OutputState
from foundation.film_options import FilmOptions, Layout, Size

endpoints = Endpoints("broadcasts", scope="recordings")
_PATH = "/api/v1/meetings/<meeting>/broadcast"
_STREAM_NAME = re.compile(r"[A-Za-z0-9-]{1,64}\.(m4s|mp4|m3u8)")
_TYPES = {"m4s": "video/iso.segment", "mp4": "video/mp4", "m3u8": "application/vnd.apple.mpegurl"}
_SILENT_SECONDS = 5.0
_BLOCK_SECONDS = 6.0
_LOOK_SECONDS = 0.08
_PART = re.compile(r'^#EXT-X-PART:.*-(\d+)-(\d+)\.m4s"', re.MULTILINE)
_HINTED = re.compile(r'^#EXT-X-PRELOAD-HINT:.*URI="([^"]+)"', re.MULTILINE)
_AHEAD = 2
"""The segments that a player may request in advance (RFC 8216bis, section 6.2.5.2)."""
_SEGMENT = re.compile(r"^[0-9a-f]+-(\d+)\.m4s$", re.MULTILINE)


class AddOutput(Body, frozen=True, kw_only=True):
    """A new output. `rtmp` requires `url`, rtmp[s]://host[:port]/application, and `key`, the secret stream key.

    `srt` requires `url`, srt://host:port?streamid=…&passphrase=…&latency=…, of a listener. `key` is its stream id, if
    that is not in the URL. Stream id and passphrase are stored encrypted and not returned; the latency is in ms.
    """

    kind: Literal["rtmp", "hls", "srt"]
    name: Text
    url: Annotated[str, msgspec.Meta(max_length=500)] = ""
    key: Secret | None = None


class StartBroadcast(Body, frozen=True, kw_only=True):
    """Options of a broadcast. `layout`, as in a combined video: `grid`, `speaker`, `screen`, `single` or `waveform`."""

    layout: Layout = "speaker"
    size: Literal["720p", "vertical"] = "720p"
    names: bool = True


class Output(Answer, frozen=True, kw_only=True):
    """A target of the meeting's broadcasts. `watch_url` is the playlist of an HLS output.

    Only LiveKit's Egress API orders `images`, which `images` counts, and the sound of a track to a `websocket`.

    While the meeting is live, `phase` is the output's state, and `since` the start of that state; `delay_ms` is the
    time from capture to delivery, and `dropped` counts pictures that were not delivered in time.
    """

    id: str
    kind: OutputKind
    name: str
    url: str
    watch_url: str | None
    created_at: Time
    phase: OutputPhase | None = None
    since: Time | None = None
    bits_per_second: int = 0
    dropped: int = 0
    delay_ms: int = 0
    attempts: int = 0
    error: str = ""
    images: int = 0


class Broadcast(Answer, frozen=True, kw_only=True):
    """The broadcast of a meeting, which is running if `started_at` is set, and its outputs.

    `problem` is the reason why nothing is being composed. `left_out` counts pictures left out for lack of CPU time.
    """

    started_at: Time | None
    layout: Layout | None
    size: Size | None
    people: int
    left_out: int
    problem: str
    outputs: list[Output]


@endpoints.route("GET", _PATH, Access.HOST, answer=Broadcast)
async def get_broadcast(call: Call, meeting: str) -> Broadcast:
    """Return the state of the meeting's broadcast and its outputs."""
    return await _public(call.services, meeting)


@endpoints.route("POST", f"{_PATH}/outputs", Access.HOST, body=AddOutput, answer=Broadcast, status=201)
async def add_broadcast_output(call: Call, meeting: str, body: AddOutput) -> Broadcast:
    """Add an output for the meeting's broadcasts; a running broadcast uses it at once."""
    private = call.services.config.allow_private_broadcasts
    url, plain = body.url, body.key or ""
    if body.kind == "rtmp":
        rules.check_target(body.url, private=private)
    elif body.kind == "srt":
        url, plain = rules.split_srt(body.url, body.key, private=private)
    elif body.url or body.key is not None:
        raise Problem(400, "invalid_request", "An HLS output has neither an address nor a key.")
    output = new_id("output")
    key = call.services.broadcast_seal.seal(output, plain) if plain else ""
    watch = broadcasts.new_watch_key() if body.kind == "hls" else None
    row = OutputRow(output, meeting, body.kind, body.name, url, key, watch, datetime.now(UTC))
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        if len(await broadcasts.outputs(connection, meeting)) >= broadcasts.MOST_OUTPUTS:
            raise Problem(409, "too_many_outputs", f"A meeting can have {broadcasts.MOST_OUTPUTS} outputs.")
        await broadcasts.add_output(connection, row)
        about = {"meeting": meeting, "kind": body.kind}
        await audit.write(connection, call.actor, "broadcast_output.added", output, call.address, **about)
    return await _public(call.services, meeting)


@endpoints.route("DELETE", f"{_PATH}/outputs/<output>", Access.HOST, answer=Done)
async def delete_broadcast_output(call: Call, meeting: str, output: str) -> Done:
    """Delete an output; a running broadcast stops using it."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        running = await broadcasts.running(connection, meeting)
        if not await broadcasts.remove_output(connection, meeting, output):
            raise not_found("This meeting has no such output.")
        await egresses.finish_streams(connection, [output])
        await audit.write(connection, call.actor, "broadcast_output.deleted", output, call.address, meeting=meeting)
    if running is not None:
        await rules.stop_unused(call.services, meeting, running.id)
    return Done()


@endpoints.route("POST", f"{_PATH}/start", Access.HOST, body=StartBroadcast, answer=Broadcast, status=201)
async def start_broadcast(call: Call, meeting: str, body: StartBroadcast) -> Broadcast:
    """Start the broadcast. All participants are notified, and are shown only if they consent to being recorded."""
    options = FilmOptions(layout=body.layout, size=body.size, names=body.names)
    if (problem := options.problem()) is not None:
        raise Problem(400, "invalid_film", problem)
    await rules.start(call.services, Wish(meeting, call.actor, call.address), options)
    return await _public(call.services, meeting)


@endpoints.route("POST", f"{_PATH}/stop", Access.HOST, answer=Broadcast)
async def stop_broadcast(call: Call, meeting: str) -> Broadcast:
    """Stop the broadcast; its outputs are kept for the next one."""
    await rules.stop(call.services, Wish(meeting, call.actor, call.address))
    return await _public(call.services, meeting)


@endpoints.route("GET", "/api/v1/live/<watch>/<piece>", Access.PUBLIC, content_type="*/*")
async def watch_broadcast(call: Call, watch: str, piece: str) -> Response:
    """Return the playlist of an HLS output, or a segment. Anyone with the link may watch.

    `_HLS_msn` and `_HLS_part` wait for that part (low-latency HLS). A request for the part that the playlist hints
    waits for it as well.
    """
    if not _STREAM_NAME.fullmatch(piece):
        raise not_found("There is no such stream.")
    async with call.services.pool.acquire() as connection:
        found = await broadcasts.watched(connection, watch)
    if found is None:
        raise not_found("This stream is not live.")
    key = f"{LIVE_PREFIX}{found[0]}/{found[1]}/{piece}"
    objects = call.services.archive.objects
    if piece == PLAYLIST:
        await _await_part(call, key)
    elif piece.count("-") == 2:
        await _await_hinted(call, key, piece)
    cache = "no-cache" if piece == PLAYLIST else "public, max-age=600"
    response = await file_response.send(call.request, objects, key, _TYPES[piece.rpartition(".")[2]], cache)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


async def _await_part(call: Call, key: str) -> None:
    """Wait until a playlist has what a player requests, at most a few seconds. Raises Problem 400 (RFC 8216bis)."""
    arguments = call.request.args
    if "_HLS_msn" not in arguments and "_HLS_part" not in arguments:
        return
    try:
        segment = int(arguments["_HLS_msn"])
        part = int(arguments["_HLS_part"]) if "_HLS_part" in arguments else None
    except (KeyError, ValueError) as error:
        raise _no_such_part() from error
    end = time.monotonic() + _BLOCK_SECONDS
    while time.monotonic() < end:
        try:
            text = (await call.services.archive.objects.get(key)).decode()
        except (OSError, ValueError):
            return
        if "#EXT-X-ENDLIST" in text or _has(text, segment, part):
            return
        if segment > _newest(text)[0] + _AHEAD:
            raise _no_such_part()
        await asyncio.sleep(_LOOK_SECONDS)


async def _await_hinted(call: Call, key: str, piece: str) -> None:
    """Wait for a part if it is the next one, at most a few seconds."""
    objects = call.services.archive.objects
    end = time.monotonic() + _BLOCK_SECONDS
    while time.monotonic() < end:
        try:
            await objects.info(key)
        except FileNotFoundError:
            try:
                text = (await objects.get(f"{key.rpartition('/')[0]}/{PLAYLIST}")).decode()
            except (OSError, ValueError):
                return
            if piece not in _HINTED.findall(text):
                return
            await asyncio.sleep(_LOOK_SECONDS)
        except OSError:
            return
        else:
            return


def _has(playlist: str, segment: int, part: int | None) -> bool:
    """Return True if a playlist has a part, or with None the complete segment.

    A part after the last one of a complete segment is the first one of the next segment.
    """
    done = max(map(int, _SEGMENT.findall(playlist)), default=-1)
    if part is None or done < segment:
        return done >= segment or (part is not None and _newest(playlist) >= (segment, part))
    numbers = [int(number) for of, number in _PART.findall(playlist) if int(of) == segment]
    return not numbers or part <= max(numbers) or _newest(playlist)[0] > segment


def _newest(playlist: str) -> tuple[int, int]:
    """Return the numbers of the newest part in a playlist, and of its segment."""
    return max(((int(segment), int(part)) for segment, part in _PART.findall(playlist)), default=(-1, -1))


def _no_such_part() -> Problem:
    return Problem(400, "invalid_part", "_HLS_msn and _HLS_part must be numbers not far ahead of the playlist.")


async def _public(services: Services, meeting: str) -> Broadcast:
    async with services.pool.acquire() as connection:
        row = await broadcasts.running(connection, meeting)
        outputs = await broadcasts.outputs(connection, meeting)
    problem = _silence(row)
    report = rules.reported(row) if row is not None and not problem else None
    return Broadcast(
        started_at=row.started_at if row is not None else None,
        layout=row.options.get("layout", "grid") if row is not None else None,
        size=row.options.get("size", "720p") if row is not None else None,
        people=report.people if report is not None else 0,
        left_out=report.left_out if report is not None else 0,
        problem=problem or (report.problem if report is not None else ""),
        outputs=[_output(one, rules.state_of(report, one.id)) for one in outputs],
    )


def _silence(row: BroadcastRow | None) -> str:
    """Return a problem if no recorder has reported on a running broadcast recently."""
    if row is None or (datetime.now(UTC) - (row.reported_at or row.started_at)).total_seconds() <= _SILENT_SECONDS:
        return ""
    return "The recorder, which makes broadcasts, does not respond."


def _output(row: OutputRow, state: OutputState | None) -> Output:
    watch_url = f"{LIVE_PATH}{row.watch_key}/{PLAYLIST}" if row.watch_key is not None else None
    if state is None:
        return Output.from_row(row, watch_url=watch_url, **_NOTHING)
    since = datetime.fromtimestamp(state.since / 1000, UTC)
    return Output.from_row(row, watch_url=watch_url, **msgspec.structs.asdict(state) | {"since": since})


_NOTHING = {"phase": None, "since": None} | {
    name: getattr(OutputState(phase="waiting", since=0), name)
    for name in ("bits_per_second", "dropped", "delay_ms", "attempts", "error", "images")
}
