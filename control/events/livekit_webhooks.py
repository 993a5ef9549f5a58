"""Webhooks in the form of LiveKit's: the body of an event, and the token that signs it with an API key."""

import base64
import hashlib
import time
from collections.abc import Sequence
from typing import Any

import jwt
import msgspec
from google.protobuf import json_format
from livekit.protocol import models, webhook

from control import livekit_views
from control.database import Connection
from control.store import egresses, livekit_rooms, participants
from control.store.outbox import Event
from sfu.api.signaling_values import ParticipantInfo, TrackInfo
from sfu.livekit import infos, names

CONTENT_TYPE = "application/webhook+json"
_LIFETIME_SECONDS = 300
_EVENTS = {
    "meeting.started": "room_started",
    "meeting.room_closed": "room_finished",
    "meeting.user_joined": "participant_joined",
    "meeting.user_left": "participant_left",
    "track.published": "track_published",
    "track.unpublished": "track_unpublished",
    "egress.started": "egress_started",
    "egress.updated": "egress_updated",
    "egress.ended": "egress_ended",
}


async def bodies(connection: Connection, events: Sequence[Event]) -> list[str | None]:
    """Return the bodies of events, None for events that LiveKit's webhooks do not have."""
    rooms: dict[str, models.Room] = {}
    found: list[str | None] = []
    for event in events:
        told = _EVENTS.get(event.kind)
        meeting = event.meeting_id
        if told is None or meeting is None:
            found.append(None)
            continue
        if "egress" not in event.payload and await livekit_rooms.shows_page(connection, meeting):
            found.append(None)
            continue
        if meeting not in rooms:
            row = await livekit_rooms.one(connection, meeting)
            rooms[meeting] = livekit_views.room(row) if row is not None else models.Room(sid=names.room_sid(meeting))
        message = webhook.WebhookEvent(
            event=told, id=f"EV_{event.id}", created_at=int(event.created_at.timestamp()), room=rooms[meeting]
        )
        if "participant" in event.payload:
            message.participant.CopyFrom(await _participant(connection, meeting, told, event.payload))
        if "egress" in event.payload:
            egress = await egresses.by_id(connection, event.payload["egress"])
            if egress is not None:
                streams = (await egresses.streams_of(connection, [egress.id])).get(egress.id, [])
                message.egress_info.CopyFrom(livekit_views.egress(egress, streams))
        if "track" in event.payload:
            message.track.CopyFrom(_track(event.payload))
        found.append(json_format.MessageToJson(message, indent=None))
    return found


async def _participant(
    connection: Connection, meeting: str, told: str, payload: dict[str, Any]
) -> "models.ParticipantInfo":
    who = payload["participant"]
    if payload.get("info") is not None and not told.startswith("track"):
        said = infos.participant(msgspec.convert(payload["info"], ParticipantInfo), ())
    else:
        row = await participants.by_id(connection, meeting, who)
        identity = await livekit_rooms.identity_of(connection, who)
        name = row.name if row is not None else ""
        said = models.ParticipantInfo(sid=names.participant_sid(who), identity=identity or who, name=name)
    if told == "participant_left":
        said.state = models.ParticipantInfo.State.DISCONNECTED
        said.disconnect_reason = names.left_reason(payload.get("reason", ""))
    return said


def _track(payload: dict[str, Any]) -> "models.TrackInfo":
    if payload.get("info") is not None:
        return infos.track(msgspec.convert(payload["info"], TrackInfo))
    return models.TrackInfo(sid=names.track_sid(payload["track"]))


def authorization(key: str, secret: str, body: bytes) -> str:
    """Return the token that authenticates a body: signed with an API key, and containing the body's SHA-256."""
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": key, "nbf": now, "exp": now + _LIFETIME_SECONDS, "sha256": digest}
    return jwt.encode(claims, secret, algorithm="HS256")
