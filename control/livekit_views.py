"""Rooms and participants as LiveKit's server API and webhooks describe them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from google.protobuf.message import Message
from livekit.protocol import egress as protocol
from livekit.protocol import models

from control.store.egresses import EgressRow, StreamRow
from control.store.livekit_rooms import ListedRoom
from foundation.broadcasts import PLAYLIST
from sfu.api.room_acts import RoomView, SeenParticipant
from sfu.livekit import infos, names

_CODECS = ("audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx")


def room(row: ListedRoom) -> "models.Room":
    created = int(row.created_at.timestamp() * 1000)
    return models.Room(
        sid=names.room_sid(row.meeting_id),
        name=row.name,
        empty_timeout=row.empty_timeout,
        departure_timeout=row.departure_timeout,
        max_participants=row.max_participants,
        creation_time=created // 1000,
        creation_time_ms=created,
        enabled_codecs=[models.Codec(mime=mime) for mime in _CODECS],
        metadata=row.metadata,
        num_participants=row.participants,
        num_publishers=row.publishers,
        active_recording=row.recording,
    )


def participants(view: RoomView) -> "list[models.ParticipantInfo]":
    return [participant(view, seen) for seen in view.participants]


def participant(view: RoomView, seen: SeenParticipant) -> "models.ParticipantInfo":
    may = seen.grants.publish
    tracks = [track for track in view.tracks if track.participant == seen.info.participant and track.source in may]
    return infos.participant(seen.info, tracks, infos.permission(seen.grants))


def named(view: RoomView | None, identity: str) -> SeenParticipant | None:
    """Return the participant with an identity in a live room."""
    people: Iterable[SeenParticipant] = view.participants if view is not None else ()
    return next((seen for seen in people if infos.identity_of(seen.info) == identity), None)


EGRESS = "EG_"
_REQUESTS: dict[str, type[Message]] = {
    "room_composite": protocol.RoomCompositeEgressRequest,
    "participant": protocol.ParticipantEgressRequest,
    "track_composite": protocol.TrackCompositeEgressRequest,
    "track": protocol.TrackEgressRequest,
    "web": protocol.WebEgressRequest,
}


def egress_state(row: EgressRow) -> "tuple[protocol.EgressStatus, str]":
    """Return the state of a file's egress, and why it failed."""
    status = protocol.EgressStatus
    if row.made is not None:
        state = status.EGRESS_FAILED if row.error else status.EGRESS_COMPLETE
        return (status.EGRESS_ENDING if row.upload else state), row.error
    if row.job_state == "failed":
        return status.EGRESS_FAILED, row.job_error or "the file could not be written"
    if row.recording_state == "empty":
        return status.EGRESS_ABORTED, "nobody was in the room"
    if row.film is not None and row.job_state is None:
        return status.EGRESS_ABORTED, "the file was deleted"
    if row.film is None and row.recording_state in ("ready", "partial"):  # given up, or restored from its files
        return status.EGRESS_FAILED, "the recording was not finished in time"
    over = row.ended_at is not None or row.recording_state != "recording"
    return (status.EGRESS_ENDING if over else status.EGRESS_ACTIVE), ""


def _live_state(row: EgressRow, streams: Sequence[StreamRow]) -> "tuple[protocol.EgressStatus, str]":
    """Return the state of a live egress, which has failed if all of its streams have."""
    status = protocol.EgressStatus
    if row.ended_at is None:
        is_live = any(stream.was_live for stream in streams)
        return (status.EGRESS_ACTIVE if is_live else status.EGRESS_STARTING), ""
    if row.error:
        return status.EGRESS_FAILED, row.error
    if row.broadcast_id is None:
        return status.EGRESS_ABORTED, "the page had not started"
    if streams and all(stream.has_failed for stream in streams):
        return status.EGRESS_FAILED, streams[0].error
    return status.EGRESS_COMPLETE, ""


def egress(row: EgressRow, streams: Sequence[StreamRow] = ()) -> "protocol.EgressInfo":
    state, error = _live_state(row, streams) if row.recording_id is None else egress_state(row)
    ended_at, sources = row.ended_at or row.stopped_at, protocol.EgressSourceType
    info = protocol.EgressInfo(
        egress_id=EGRESS + row.id,
        room_id="" if row.page else names.room_sid(row.meeting_id),
        room_name=row.room,
        source_type=sources.EGRESS_SOURCE_TYPE_WEB if row.page else sources.EGRESS_SOURCE_TYPE_SDK,
        status=state,
        error=error,
        started_at=_nanoseconds(row.started_at),
        ended_at=_nanoseconds(ended_at),
        updated_at=_nanoseconds(ended_at or row.started_at),
    )
    asked = _REQUESTS[row.kind]()
    asked.ParseFromString(row.request)
    getattr(info, row.kind).CopyFrom(asked)
    if row.made is not None and not row.upload:
        location = row.location or f"/api/v1/recordings/{row.recording_id}/files/{row.made['file']}"
        file = protocol.FileInfo(
            filename=row.filepath or PurePosixPath(row.made["file"]).name,
            started_at=info.started_at,
            ended_at=info.ended_at,
            duration=int(row.made["duration_ms"]) * 1_000_000,
            size=int(row.made["bytes"]),
            location=location,
        )
        info.file_results.append(file)
        info.file.CopyFrom(file)
    _add_streams(info, streams)
    return info


def _add_streams(info: "protocol.EgressInfo", streams: Sequence[StreamRow]) -> None:
    """Add the results of a live egress's streams."""
    for stream in streams:
        started_at, ended_at = _nanoseconds(stream.started_at), _nanoseconds(stream.ended_at)
        duration = ended_at - started_at if ended_at else 0
        if stream.kind == "hls":
            segments = protocol.SegmentsInfo(
                started_at=started_at, ended_at=ended_at, duration=duration, **_playlists(stream)
            )
            info.segment_results.append(segments)
            continue
        if stream.kind == "images":
            images = protocol.ImagesInfo(
                filename_prefix=stream.url, image_count=stream.images, started_at=started_at, ended_at=ended_at
            )
            info.image_results.append(images)
            continue
        states = protocol.StreamInfo.Status
        ended = states.FINISHED if ended_at else states.ACTIVE
        info.stream_results.append(
            protocol.StreamInfo(
                id=stream.id,
                url=stream.url,
                status=states.FAILED if stream.has_failed else ended,
                error=stream.error,
                retries=stream.retries,
                last_retry_at=_nanoseconds(stream.retried_at),
                started_at=started_at,
                ended_at=ended_at,
                duration=duration,
            )
        )
    if info.stream_results:
        info.stream.info.extend(info.stream_results)
    elif info.segment_results:
        info.segments.CopyFrom(info.segment_results[0])


def _playlists(stream: StreamRow) -> dict[str, Any]:
    """Return the fields about the playlists of a stream."""
    if not stream.playlist:
        return {"live_playlist_name": PLAYLIST, "live_playlist_location": stream.url}
    fields: dict[str, Any] = {"segment_count": stream.images}
    for name, key in (("playlist", stream.playlist), ("live_playlist", stream.live_playlist)):
        if key:
            fields |= {f"{name}_name": key, f"{name}_location": stream.url + quote(key)}
    return fields


def _nanoseconds(at: datetime | None) -> int:
    return int(at.timestamp() * 1e9) if at is not None else 0
