"""Data tracks: those that a client publishes, and its subscriptions to others'.

A packet begins with 12 bytes, and its third and fourth are the track's handle. Handles belong to one client: a
publisher and its subscribers know a track by different ones.
"""

import base64
import secrets
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from livekit.protocol import models, rtc

from sfu.api.signaling_values import DataTrack, ParticipantInfo
from sfu.livekit import infos, names
from sfu.rooms.dialect import DataPacket

MAX_SUBSCRIPTIONS = 256
_HEADER_BYTES = 12
_HANDLE = slice(2, 4)
_HIGHEST_HANDLE = 0xFFFF
_Reason = rtc.RequestResponse.Reason


class NotPublished(Exception):
    """A refusal of a request; `reason` is the protocol's."""

    def __init__(self, reason: "rtc.RequestResponse.Reason", text: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class _Publication(NamedTuple):
    participant: str
    track: str


class DataTracks:
    """A client's data tracks. `own` are those that the room shows of it, by handle."""

    def __init__(self) -> None:
        self.own: dict[int, models.DataTrackInfo] = {}
        self._handles: dict[_Publication, int] = {}
        self._last_handle = 0

    def publish(self, asked: "rtc.PublishDataTrackRequest") -> "models.DataTrackInfo":
        """Return the track for a request; raises NotPublished."""
        if not 0 < asked.pub_handle <= _HIGHEST_HANDLE:
            raise NotPublished(_Reason.INVALID_HANDLE, f"A handle is a number from 1 to {_HIGHEST_HANDLE}.")
        if not 0 < len(asked.name) <= 256:
            raise NotPublished(_Reason.INVALID_NAME, "A name has 1 to 256 characters.")
        if asked.pub_handle in self.own:
            raise NotPublished(_Reason.DUPLICATE_HANDLE, "Another data track has this handle.")
        if any(one.name == asked.name for one in self.own.values()):
            raise NotPublished(_Reason.DUPLICATE_NAME, "Another data track has this name.")
        sid = names.DATA_TRACK + secrets.token_hex(8)
        made = models.DataTrackInfo(pub_handle=asked.pub_handle, sid=sid, name=asked.name, encryption=asked.encryption)
        if asked.HasField("frame_encoding"):
            made.frame_encoding.CopyFrom(asked.frame_encoding)
        if asked.HasField("schema"):
            made.schema.CopyFrom(asked.schema)
        if len(made.SerializeToString()) > 2000:
            raise NotPublished(_Reason.INVALID_REQUEST, "The names of the encoding and the schema are too long.")
        return made

    def told(self, info: ParticipantInfo) -> None:
        """Take the client's own tracks, as the room shows them."""
        self.own = {track.pub_handle: track for track in infos.data_tracks(info)}

    def subscribe(
        self, asked: "rtc.UpdateDataSubscription", people: Mapping[str, ParticipantInfo]
    ) -> "rtc.SignalResponse":
        """Begin or end subscriptions; return the handles of all of them."""
        by_sid = {one.track: one for one in _publications(people)}
        for update in asked.updates:
            publication = by_sid.get(update.track_sid)
            if publication is None or not update.subscribe:
                self._handles = {one: handle for one, handle in self._handles.items() if one.track != update.track_sid}
            elif publication not in self._handles and len(self._handles) < MAX_SUBSCRIPTIONS:
                self._handles[publication] = self._free_handle()
        return self._told_handles(people)

    def _free_handle(self) -> int:
        taken = set(self._handles.values())
        while True:
            self._last_handle = self._last_handle % _HIGHEST_HANDLE + 1
            if self._last_handle not in taken:
                return self._last_handle

    def prune(self, people: Mapping[str, ParticipantInfo]) -> "Iterable[rtc.SignalResponse]":
        """End subscriptions to tracks that are gone; return the others' handles if there were any."""
        there = set(_publications(people))
        kept = {one: handle for one, handle in self._handles.items() if one in there}
        if len(kept) == len(self._handles):
            return []
        self._handles = kept
        return [self._told_handles(people)]

    def _told_handles(self, people: Mapping[str, ParticipantInfo]) -> "rtc.SignalResponse":
        handles = rtc.DataTrackSubscriberHandles()
        for (who, track), handle in self._handles.items():
            told = handles.sub_handles[handle]
            told.publisher_identity, told.publisher_sid = infos.identity_of(people[who]), names.participant_sid(who)
            told.track_sid = track
        return rtc.SignalResponse(data_track_subscriber_handles=handles)

    def read(self, data: bytes, me: str) -> DataPacket | None:
        """Return a packet that the client has sent; raises ValueError for one without a whole header."""
        if len(data) < _HEADER_BYTES:
            raise ValueError("too short")
        track = self.own.get(int.from_bytes(data[_HANDLE]))
        return DataPacket(me, track.sid, data) if track is not None else None

    def write(self, packet: DataPacket) -> bytes | None:
        """Return a packet with the client's handle, None if it has not subscribed to its track."""
        handle = self._handles.get(_Publication(packet.participant, packet.track))
        if handle is None or len(packet.data) < _HEADER_BYTES:
            return None
        return packet.data[: _HANDLE.start] + handle.to_bytes(2) + packet.data[_HANDLE.stop :]


def _publications(people: Mapping[str, ParticipantInfo]) -> list[_Publication]:
    return [_Publication(who, track.track) for who, info in people.items() for track in info.data_tracks]


def listed(tracks: "Iterable[models.DataTrackInfo]") -> tuple[DataTrack, ...]:
    """Return tracks as rooms list them."""
    return tuple(
        DataTrack(track=track.sid, name=track.name, about=base64.b64encode(track.SerializeToString()).decode())
        for track in tracks
    )
