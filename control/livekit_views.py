"""Rooms and participants as LiveKit's server API and webhooks describe them."""

from collections.abc import Iterable

from livekit.protocol import models

from control.store.livekit_rooms import ListedRoom
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
