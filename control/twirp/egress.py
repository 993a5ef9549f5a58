"""Egress: files of rooms, participants and tracks, made from the room's recording once it is finished.

An egress of a file uses the running recording, or starts one. Its file is a film from its start to its end. Files stay
in Parley's storage, where their `location` is a path of the REST API, and are also uploaded to a bucket if the request
names one. Everything else is made live (`live_egress`), also beside a file.
"""

from typing import Any

import msgspec
from livekit.protocol import egress as protocol

from control import livekit_views as views
from control.identifiers import new_id
from control.problem import Problem
from control.recordings import lifecycle
from control.recordings.lifecycle import Wish
from control.store import egresses, livekit_rooms, recordings
from control.twirp import egress_buckets, egress_targets, live_egress, web_pages
from control.twirp.live_egress import LiveEgress, ShownPage
from control.twirp.rooms import seen_participant
from control.twirp.service import Caller, Method, Service, TwirpError, of_problem
from foundation.film_options import SOUND_ONLY, FilmOptions, Format, Layout, Size, to_job
from objects.buckets import Bucket
from sfu.api.room_acts import DescribeParticipant
from sfu.livekit import names

_MAX_PATH = 1024
_RUNNING = (
    protocol.EgressStatus.EGRESS_STARTING,
    protocol.EgressStatus.EGRESS_ACTIVE,
    protocol.EgressStatus.EGRESS_ENDING,
)
_PRESETS: dict[int, Size] = {
    protocol.EncodingOptionsPreset.H264_720P_30: "720p",
    protocol.EncodingOptionsPreset.H264_720P_60: "720p",
    protocol.EncodingOptionsPreset.H264_1080P_30: "1080p",
    protocol.EncodingOptionsPreset.H264_1080P_60: "1080p",
    protocol.EncodingOptionsPreset.PORTRAIT_H264_720P_30: "vertical",
    protocol.EncodingOptionsPreset.PORTRAIT_H264_720P_60: "vertical",
}


async def start_room_composite(caller: Caller, asked: "protocol.RoomCompositeEgressRequest") -> "protocol.EgressInfo":
    """Make a film, streams or images of everybody."""
    _check(caller, asked)
    if not asked.custom_base_url:
        output, film = _composite(asked, _layout(asked.layout))
        return await _begin(caller, LiveEgress(asked, "room_composite", film), output)
    made = new_id("egress")
    url = await web_pages.template(caller, asked, views.EGRESS + made)
    return await _wait_for_page(caller, asked, asked, made, url, announces_start=True)


async def start_web(caller: Caller, asked: "protocol.WebEgressRequest") -> "protocol.EgressInfo":
    """Make a film, streams or images of a web page."""
    caller.grants("room_record")
    order = web_pages.composite_of(asked)
    _check(caller, order)
    made = new_id("egress")
    return await _wait_for_page(caller, asked, order, made, asked.url, announces_start=asked.await_start_signal)


async def _wait_for_page(
    caller: Caller,
    asked: Any,
    order: "protocol.RoomCompositeEgressRequest",
    made: str,
    url: str,
    *,
    announces_start: bool,
) -> "protocol.EgressInfo":
    """Have a page opened; what a request orders of its meeting begins when it has started. `asked` is what is shown,
    `made` the id of the new egress.
    """
    output, film = _composite(order, "single", names=False)
    kind = "room_composite" if order is asked else "web"
    egress = await _ordered(caller, LiveEgress(order, kind, film), output)
    if egress.targets:
        live_egress.check(caller, egress)
    if output is not None:
        await egress_buckets.destination(output, private=_private(caller))
    view = web_pages.view_of(caller.services, film.size, announces_start=announces_start)
    return await web_pages.start(caller, asked, egress, view, made=made, url=url)


async def begin_page(
    caller: Caller, order: "protocol.RoomCompositeEgressRequest", page: ShownPage
) -> "protocol.EgressInfo":
    """Begin the egress of a page that has started."""
    output, film = _composite(order, "single", names=False)
    return await _begin(caller, LiveEgress(order, "room_composite", film, page=page), output)


def _composite(
    asked: "protocol.RoomCompositeEgressRequest", layout: Layout, *, names: bool = True
) -> "tuple[protocol.EncodedFileOutput | None, FilmOptions]":
    """Return the file that a request for a room orders, and its film. A page has no name in the picture."""
    if asked.video_only:
        raise TwirpError("unimplemented", "video_only is not supported")
    output = _output(asked)
    form = _format(output, sound_only=asked.audio_only)
    return output, FilmOptions(layout=layout, size=_size(asked), format=form, names=names)


async def start_participant(caller: Caller, asked: "protocol.ParticipantEgressRequest") -> "protocol.EgressInfo":
    """Make a film, streams or images of one participant's camera and microphone, or of its shared screen."""
    _check(caller, asked)
    output = _output(asked)
    form, size = _format(output, sound_only=False), _size(asked)
    async with caller.services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, asked.room_name)
        person = await livekit_rooms.participant_of(connection, meeting or "", asked.identity)
    if person is None:
        raise TwirpError("not_found", "participant does not exist")
    layout: Layout = "screen" if asked.screen_share else "single"
    options = FilmOptions(layout=layout, size=size, format=form, participant=person)
    return await _begin(caller, LiveEgress(asked, "participant", options), output)


async def start_track_composite(caller: Caller, asked: "protocol.TrackCompositeEgressRequest") -> "protocol.EgressInfo":
    """Make a film, streams or images of an audio track and a video track."""
    _check(caller, asked)
    output = _output(asked)
    form = _format(output, sound_only=not asked.video_track_id)
    sids = [sid for sid in (asked.audio_track_id, asked.video_track_id) if sid]
    options, _ = await _of_tracks(caller, asked.room_name, sids, FilmOptions(size=_size(asked), format=form))
    return await _begin(caller, LiveEgress(asked, "track_composite", options), output)


async def start_track(caller: Caller, asked: "protocol.TrackEgressRequest") -> "protocol.EgressInfo":
    """Make a file of one track, or send its sound to a WebSocket server."""
    _check(caller, asked)
    _check_path(asked.file)
    options, is_seen = await _of_tracks(caller, asked.room_name, [asked.track_id], FilmOptions())
    if asked.WhichOneof("output") == "websocket_url":
        if is_seen:
            raise TwirpError("invalid_argument", "only sound is sent to WebSocket servers")
        target = egress_targets.websocket(asked.websocket_url, private=_private(caller))
        return await live_egress.start(caller, LiveEgress(asked, "track", options, (target,)))
    if not is_seen:
        options = msgspec.structs.replace(options, format="m4a")
    return await _begin(caller, LiveEgress(asked, "track", options), asked.file)


async def _begin(caller: Caller, egress: LiveEgress, output: Any | None) -> "protocol.EgressInfo":
    """Begin what a request orders: a file, outputs of the broadcast, or both."""
    egress = await _ordered(caller, egress, output)
    return await (live_egress.start(caller, egress) if output is None else _start(caller, egress, output))


async def _ordered(caller: Caller, egress: LiveEgress, output: Any | None) -> LiveEgress:
    """Return an egress with the targets that its request orders beside a file; raises TwirpError, or Problem 400."""
    if not egress_targets.is_live(egress.asked):
        return egress
    async with caller.services.pool.acquire() as connection:
        meeting = await live_egress.meeting_of(connection, egress)
    room = "" if meeting is None else names.room_sid(meeting)
    targets = await egress_targets.targets_of(egress.asked, room, private=_private(caller))
    if egress.film.format in SOUND_ONLY and output is not None:
        raise TwirpError("unimplemented", "sound alone and streams are made by separate egresses")
    return egress._replace(targets=tuple(targets))


def _private(caller: Caller) -> bool:
    """Return whether streams may go to private networks."""
    return caller.services.config.allow_private_broadcasts


async def _of_tracks(caller: Caller, room: str, sids: list[str], options: FilmOptions) -> tuple[FilmOptions, bool]:
    """Return film options for these tracks, and whether one is video; raises TwirpError for unknown tracks."""
    try:
        tracks = [names.track_of(sid) for sid in sids]
    except ValueError as error:
        raise TwirpError("invalid_argument", str(error)) from error
    async with caller.services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, room)
        sources = await livekit_rooms.sources_of(connection, meeting or "", tracks)
    if not tracks or len(sources) != len(tracks):
        raise TwirpError("not_found", "track does not exist")
    layout: Layout = "screen" if "screen" in sources else "single"
    return msgspec.structs.replace(options, layout=layout, tracks=tracks), bool({"camera", "screen"} & {*sources})


def _check(caller: Caller, asked: Any) -> None:
    """Raise TwirpError unless the caller may record, and the request is one that is supported."""
    caller.grants("room_record")
    if not asked.room_name:
        raise TwirpError("invalid_argument", "missing room_name")
    if asked.DESCRIPTOR.fields_by_name.get("advanced") is not None and asked.HasField("advanced"):
        raise TwirpError("unimplemented", "advanced encoding options are not supported; use a preset")


def _output(asked: Any) -> "protocol.EncodedFileOutput | None":
    """Return the requested file output; None if only streams or images are requested."""
    outputs = [*asked.file_outputs]
    if asked.DESCRIPTOR.oneofs_by_name.get("output") is not None:
        outputs += [asked.file] if asked.WhichOneof("output") == "file" else []
    if not outputs and egress_targets.is_live(asked):
        return None
    if len(outputs) != 1:
        raise TwirpError("invalid_argument", "exactly one file output is required")
    output: protocol.EncodedFileOutput = outputs[0]
    _check_path(output)
    return output


def _check_path(output: Any) -> None:
    if len(output.filepath) > _MAX_PATH or "\x00" in output.filepath:
        raise TwirpError("invalid_argument", "filepath is too long")


def _format(output: "protocol.EncodedFileOutput | None", *, sound_only: bool) -> Format:
    if output is None:
        return "mp4"
    if output.file_type == protocol.EncodedFileType.OGG:
        raise TwirpError("unimplemented", "OGG is not supported; use MP4 or MP3")
    if output.file_type == protocol.EncodedFileType.MP3:
        return "mp3"
    return "m4a" if sound_only else "mp4"


def _size(asked: Any) -> Size:
    if asked.WhichOneof("options") is None:
        return "720p"
    size = _PRESETS.get(asked.preset)
    if size is None:
        raise TwirpError("unimplemented", "this preset is not supported")
    return size


def _layout(layout: str) -> Layout:
    if layout.startswith("single-speaker"):
        return "single"
    return "speaker" if layout.startswith("speaker") else "grid"


async def _start(caller: Caller, egress: LiveEgress, output: Any) -> "protocol.EgressInfo":
    """Begin a file, with a recording if none runs, and live outputs beside it."""
    services, asked = caller.services, egress.asked
    async with services.pool.acquire() as connection:
        meeting = await live_egress.meeting_of(connection, egress)
        running = None if meeting is None else await recordings.running(connection, meeting)
    if meeting is None:
        raise TwirpError("not_found", "requested room does not exist")
    filepath, made = output.filepath, new_id("egress") if egress.page is None else egress.page.egress
    to = await egress_buckets.destination(output, private=_private(caller))
    if to is not None:
        filepath = egress_buckets.key_of(asked, filepath, egress.film.format, names.room_sid(meeting))
    wish = Wish(meeting, caller.actor, caller.actor, caller.address)
    try:
        row = running or await lifecycle.start(services, wish)
    except Problem as problem:
        raise of_problem(problem) from problem
    values = {
        "made": made,
        "recording_id": row.id,
        "filepath": filepath,
        "options": to_job(egress.film),
        "owns": running is None,
        "upload": "" if to is None else _sealed(caller, made, to.bucket),
    }
    if not egress.targets:
        return await _add(caller, egress, meeting, values)
    try:
        return await live_egress.start(caller, egress._replace(file=values))
    except (TwirpError, Problem):
        if running is None:
            await lifecycle.stop(services, wish)
        raise


async def _add(caller: Caller, egress: LiveEgress, meeting: str, values: dict[str, Any]) -> "protocol.EgressInfo":
    request = egress_targets.redacted(egress.asked).SerializeToString()
    room = egress.asked.room_name
    async with caller.services.pool.acquire() as connection, connection.transaction():
        added = await egresses.add(
            connection, meeting_id=meeting, room=room, request=request, kind=egress.kind, **values
        )
    return views.egress(added)


def _sealed(caller: Caller, egress: str, bucket: Bucket) -> str:
    return caller.services.broadcast_seal.seal(egress, msgspec.json.encode(bucket).decode())


async def list_egresses(caller: Caller, asked: "protocol.ListEgressRequest") -> "protocol.ListEgressResponse":
    caller.grants("room_record")
    async with caller.services.pool.acquire() as connection:
        rows = await egresses.listed(connection, asked.room_name, asked.egress_id.removeprefix(views.EGRESS))
        infos = await live_egress.infos_of(connection, rows)
    return protocol.ListEgressResponse(items=[info for info in infos if not asked.active or info.status in _RUNNING])


async def update_layout(caller: Caller, asked: "protocol.UpdateLayoutRequest") -> "protocol.EgressInfo":
    """Tell a template to show a layout, in its recorder's metadata, as LiveKit's server does."""
    caller.grants("room_record")
    async with caller.services.pool.acquire() as connection:
        row = await egresses.by_id(connection, asked.egress_id.removeprefix(views.EGRESS))
        if row is None:
            raise TwirpError("not_found", "egress does not exist")
        info = await live_egress.info_of(connection, row)
    if row.kind != "room_composite" or not row.page:
        raise TwirpError("unimplemented", "only a template (custom_base_url) can change its layout")
    view, seen = await seen_participant(caller, row.room, info.egress_id)
    metadata = msgspec.json.encode({"layout": asked.layout}).decode()
    act = DescribeParticipant(participant=seen.info.participant, metadata=metadata)
    if not await caller.services.nodes.act(view.room, act):
        raise TwirpError("not_found", "participant does not exist")
    return info


async def stop(caller: Caller, asked: "protocol.StopEgressRequest") -> "protocol.EgressInfo":
    """End an egress, and with the last one a recording that only egresses needed. The file is made afterwards."""
    caller.grants("room_record")
    egress = asked.egress_id.removeprefix(views.EGRESS)
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await egresses.by_id(connection, egress)
        if row is None:
            raise TwirpError("not_found", "egress does not exist")
        state = (await live_egress.info_of(connection, row)).status
        if state not in (protocol.EgressStatus.EGRESS_STARTING, protocol.EgressStatus.EGRESS_ACTIVE):
            said = protocol.EgressStatus.Name(state)
            raise TwirpError("failed_precondition", f"egress with status {said} cannot be stopped")
        is_last = row.recording_id is not None and not row.page and await egresses.end(connection, egress)
    if row.page:
        return await web_pages.finish(caller.services, egress, "")
    if row.broadcast_id is not None:
        info = await live_egress.stop(caller.services, row)
        if row.recording_id is None:
            return info
    if is_last:
        try:
            await lifecycle.stop(caller.services, Wish(row.meeting_id, caller.actor, caller.actor, caller.address))
        except Problem as problem:
            raise of_problem(problem) from problem
    async with caller.services.pool.acquire() as connection:
        ended = await egresses.by_id(connection, egress)
        assert ended is not None
        return await live_egress.info_of(connection, ended)


SERVICE: Service = {
    "StartRoomCompositeEgress": Method(protocol.RoomCompositeEgressRequest, start_room_composite),
    "StartParticipantEgress": Method(protocol.ParticipantEgressRequest, start_participant),
    "StartTrackCompositeEgress": Method(protocol.TrackCompositeEgressRequest, start_track_composite),
    "StartTrackEgress": Method(protocol.TrackEgressRequest, start_track),
    "StartWebEgress": Method(protocol.WebEgressRequest, start_web),
    "UpdateLayout": Method(protocol.UpdateLayoutRequest, update_layout),
    "UpdateStream": Method(protocol.UpdateStreamRequest, live_egress.update_stream),
    "ListEgress": Method(protocol.ListEgressRequest, list_egresses),
    "StopEgress": Method(protocol.StopEgressRequest, stop),
}
