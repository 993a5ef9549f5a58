"""Participants and tracks as the protocol describes them."""

import base64
from collections.abc import Iterable

from google.protobuf.message import DecodeError
from livekit.protocol import models

from sfu.api.join_token import Grants, Source
from sfu.api.signaling_values import ParticipantInfo, TrackInfo
from sfu.livekit import names

HAND = "parley.hand"
"""The attribute for a raised hand. A client raises its hand by setting it, and lowers it by removing it."""

_SCREEN = (Source.SCREEN, Source.SCREEN_AUDIO)


def identity_of(info: ParticipantInfo) -> str:
    """Return the identity of a participant; for those with another protocol it is the id."""
    return info.identity or info.participant


def participant(
    info: ParticipantInfo, tracks: Iterable[TrackInfo], permission: "models.ParticipantPermission | None" = None
) -> "models.ParticipantInfo":
    published = [track(one) for one in tracks]
    return models.ParticipantInfo(
        sid=names.participant_sid(info.participant),
        identity=identity_of(info),
        state=models.ParticipantInfo.State.ACTIVE,
        name=info.name,
        metadata=info.metadata,
        attributes=_attributes(info),
        tracks=published,
        permission=permission,
        is_publisher=bool(published or info.data_tracks),
        data_tracks=data_tracks(info),
        kind=names.kind_of(info.kind),
        joined_at=info.joined_at // 1000,
        joined_at_ms=info.joined_at,
    )


def data_tracks(info: ParticipantInfo) -> "list[models.DataTrackInfo]":
    """Return a participant's data tracks, except those that another protocol describes."""
    found = []
    for track in info.data_tracks:
        try:
            described = models.DataTrackInfo.FromString(base64.b64decode(track.about, validate=True))
        except (ValueError, DecodeError):
            continue
        described.sid, described.name = track.track, track.name
        found.append(described)
    return found


def _attributes(info: ParticipantInfo) -> dict[str, str]:
    """Return the attributes, including that of the hand while it is raised, whoever raised it."""
    others = {name: value for name, value in info.attributes.items() if name != HAND}
    return others | {HAND: info.attributes.get(HAND, "raised")} if info.hand else others


def track(info: TrackInfo) -> "models.TrackInfo":
    mime = f"{info.media}/{info.codec}"
    layers = _layers(info) if info.media == "video" else []
    sealed = models.Encryption.Type.GCM if info.sealed else models.Encryption.Type.NONE
    return models.TrackInfo(
        sid=names.track_sid(info.track),
        type=models.TrackType.AUDIO if info.media == "audio" else models.TrackType.VIDEO,
        name=info.name,
        muted=info.muted,
        width=info.width,
        height=info.height,
        simulcast=info.simulcast,
        source=names.their_source(info.source),
        layers=layers,
        mime_type=mime,
        codecs=[models.SimulcastCodecInfo(mime_type=mime, layers=layers)],
        encryption=sealed,
        stream=stream_of(info.source),
    )


def _layers(info: TrackInfo) -> "list[models.VideoLayer]":
    if not info.simulcast:
        return [models.VideoLayer(quality=models.VideoQuality.HIGH, width=info.width, height=info.height)]
    parts = zip(names.QUALITIES, (4, 2, 1), strict=True)
    return [
        models.VideoLayer(quality=quality, width=info.width // part, height=info.height // part)
        for quality, part in parts
    ]


def stream_of(source: Source) -> str:
    """Return the name of the stream whose tracks are played in sync."""
    return "screen_share" if source in _SCREEN else "camera"


def permission(grants: Grants) -> "models.ParticipantPermission":
    everything = set(grants.publish) == set(Source)
    return models.ParticipantPermission(
        can_subscribe=grants.subscribe,
        can_publish=bool(grants.publish),
        can_publish_data=grants.data,
        can_publish_sources=[] if everything else [names.their_source(source) for source in grants.publish],
        can_update_metadata=grants.describe,
        hidden=grants.hidden,
    )
