"""One client's session: translates its requests to our messages, and ours to its responses. Rooms check permissions."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from sfu.api import signaling
from sfu.api.join_token import Grants
from sfu.api.livekit import LiveKitAdmission
from sfu.api.refusal import Code, Refused
from sfu.api.signaling_values import IceServer, ParticipantInfo, Permitted, TrackInfo, WantedTrack
from sfu.formats.data_message import DataMessage
from sfu.formats.sdp import Msid
from sfu.formats.sdp import parse as parse_sdp
from sfu.livekit import data_packets, infos, names
from sfu.livekit.announced_tracks import MAX_ADDED, AnnouncedTracks, NotAllowed
from sfu.livekit.chat import ChatReader, caption_packets, chat_packets
from sfu.livekit.data_tracks import DataTracks, NotPublished
from sfu.livekit.data_tracks import listed as listed_data_tracks
from sfu.livekit.remote_calls import RemoteCalls
from sfu.peers.data_channels import Labels
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms.dialect import DataPacket

MAX_PERMITTED = 1000

_NO_BLOBS = "Schemas of data tracks are not kept."
_RELIABLE, _LOSSY, _TRACKS = "_reliable", "_lossy", "_data_track"
_HEIGHTS = {
    models.VideoQuality.LOW: 180,
    models.VideoQuality.MEDIUM: 360,
    models.VideoQuality.HIGH: 0,
    models.VideoQuality.OFF: 0,
}
"""Picture heights by quality, used if no size is given; 0 means any."""
_SCORES = {
    models.ConnectionQuality.EXCELLENT: 4.5,
    models.ConnectionQuality.GOOD: 4.0,
    models.ConnectionQuality.POOR: 3.0,
    models.ConnectionQuality.LOST: 0.0,
}
_ENABLED = ("audio/opus", "audio/red", "video/VP8", "video/VP9", "video/H264", "video/AV1", "video/rtx")


class _Asked(NamedTuple):
    """The answers to a request that the room may refuse."""

    refusal: "rtc.RequestResponse"
    done: "rtc.SignalResponse"


class LiveKitSession:
    """The state of one client's translation; it outlives a connection that is resumed.

    It is also the participant's `Dialect` (sfu.rooms.dialect).
    """

    publish_labels = Labels(_RELIABLE, _LOSSY, _TRACKS, ours=False)
    subscribe_labels = Labels(_RELIABLE, _LOSSY, _TRACKS, ours=True)

    def __init__(self, admission: LiveKitAdmission, *, one_peer: bool = False) -> None:
        """`one_peer`: the client has one peer connection for both directions."""
        self.has_one_peer = one_peer
        self.replies: list[rtc.SignalResponse] = []
        """Responses to the last request that do not depend on the room."""
        self.packets: list[bytes] = []
        """Packets for the client's data channel, made from messages to it; the sender of the messages collects them."""
        self.calls = RemoteCalls()
        """Calls of the client's methods by applications."""
        self.resume = ""
        """The secret by which a lost connection is resumed."""
        self._room = models.Room(name=admission.room_name)
        self._ice_servers = [_ice_server(server) for server in admission.ice_servers]
        self._refreshed = admission.refreshed
        self._me = ""
        self._grants = Grants()
        self._participants: dict[str, ParticipantInfo] = {}
        self._tracks: dict[str, TrackInfo] = {}
        self._announced = AnnouncedTracks()
        self._wants: dict[str, WantedTrack] = {}
        self._withheld: set[str] = set()
        self._speaking: tuple[str, ...] = ()
        self._offer_id = 0
        self._chat_reader = ChatReader()
        self._asked: _Asked | None = None
        self._data_tracks = DataTracks()
        self._asking: dict[str, Callable[[rtc.SignalRequest], list[signaling.ClientMessage]]] = {
            "offer": self._offer,
            "answer": self._answer,
            "add_track": self._add_track,
            "mute": self._mute,
            "subscription": self._subscribe,
            "track_setting": self._set_tracks,
            "leave": self._leave,
            "ping": self._ping,
            "ping_req": self._ping,
            "update_metadata": self._describe,
            "subscription_permission": self._permit,
            "publish_data_track_request": self._publish_data_track,
            "unpublish_data_track_request": self._unpublish_data_track,
            "update_data_subscription": self._subscribe_to_data,
            "store_data_blob_request": self._refuse_blob,
            "get_data_blob_request": self._refuse_blob,
        }
        self._telling: dict[type, Callable[[Any], list[rtc.SignalResponse]]] = {
            signaling.RoomInfo: self._welcome,
            signaling.Offer: self._described,
            signaling.Answer: self._described,
            signaling.ParticipantJoined: self._participant_changed,
            signaling.ParticipantUpdated: self._participant_changed,
            signaling.ParticipantLeft: self._left,
            signaling.TrackPublished: self._track_changed,
            signaling.TrackUnpublished: self._track_changed,
            signaling.TrackMuted: self._track_changed,
            signaling.GrantsChanged: self._granted,
            signaling.Error: self._refused,
            signaling.Speakers: self._speakers,
            signaling.Layers: self._layers,
            signaling.TrackState: self._track_state,
            signaling.Watched: self._watched,
            signaling.SectionsWanted: self._sections_wanted,
            signaling.Chat: self._chat,
            signaling.Caption: self._caption,
            signaling.RecordingChanged: self._recording,
            signaling.RoomDescribed: self._described_room,
            signaling.Move: self._moved,
        }

    # Dialect

    def name_track(self, uptrack: UpTrack, *, again: bool) -> Msid:
        """Return the msid under which a track is shown; tracks of one participant's devices are played in sync.

        In a section that showed another track before, libwebrtc keeps the earlier track id, so the stream id must tell.
        """
        sid = names.track_sid(uptrack.shown_as)
        stream = sid if again else infos.stream_of(uptrack.source)
        return Msid(f"{names.participant_sid(uptrack.participant)}|{stream}", sid)

    def read_data(self, data: bytes) -> DataMessage | None:
        return data_packets.read(data, self._resolve, self.calls.take)

    def chat_of(self, message: DataMessage) -> list[str]:
        if message.topic != data_packets.TOPIC or message.names:
            return []
        said = self._chat_reader.take(models.DataPacket.FromString(message.payload))
        return [said] if said else []

    def write_data(self, message: DataMessage, *, reliable: bool) -> bytes | None:
        sender = message.names[0] if message.names else ""
        info = self._participants.get(sender)
        identity = infos.identity_of(info) if info is not None else sender
        return data_packets.write(message, identity, names.participant_sid(sender), reliable=reliable)

    def read_packet(self, data: bytes) -> DataPacket | None:
        return self._data_tracks.read(data, self._me)

    def write_packet(self, packet: DataPacket) -> bytes | None:
        return self._data_tracks.write(packet)

    def take_wants(self, wants: Iterable[WantedTrack]) -> None:
        self._wants |= {wanted.track: wanted for wanted in wants if wanted.track in self._tracks}

    def take_token(self, token: str) -> None:
        self._refreshed = token

    def _resolve(self, identities: Iterable[str]) -> tuple[str, ...]:
        wanted = set(identities)
        if not wanted:
            return ()
        return tuple(who for who, info in self._participants.items() if infos.identity_of(info) in wanted)

    # Requests

    def receive(self, data: bytes) -> list[signaling.ClientMessage]:
        """Return a request as our messages; raises Refused for an invalid one. `replies` must be sent at once."""
        try:
            request = rtc.SignalRequest.FromString(data)
        except DecodeError as error:
            raise Refused(Code.BAD_MESSAGE, f"Invalid message: {error}") from error
        return self.take(request)

    def opening(self, join: "rtc.JoinRequest") -> "list[rtc.SignalRequest]":
        """Return a join request's further contents as our messages, as if sent in separate requests."""
        requests = [rtc.SignalRequest(add_track=added) for added in join.add_track_requests[:MAX_ADDED]]
        if join.metadata or join.participant_attributes:
            attributes = {name: value for name, value in join.participant_attributes.items() if value}
            about = rtc.UpdateParticipantMetadata(metadata=join.metadata, attributes=attributes)
            requests.append(rtc.SignalRequest(update_metadata=about))
        if join.HasField("publisher_offer"):
            requests.append(rtc.SignalRequest(offer=join.publisher_offer))
        return requests

    def take(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        """Do the same as `receive` for a parsed request."""
        self.replies = []
        try:
            return self._read(request)
        except ValueError as error:
            raise Refused(Code.BAD_MESSAGE, f"Invalid message: {error}") from error

    def _read(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        kind = request.WhichOneof("message")
        asks = self._asking.get(kind or "")
        return asks(request) if asks is not None else []  # candidates are not needed; others are unknown

    def _answer(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        number = request.answer.id or self._offer_id  # some SDKs do not name the offer that they answer
        return [signaling.Answer(peer="subscribe", sdp=request.answer.sdp, id=number)]

    def _leave(self, _: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        return [signaling.Leave()]

    def _ping(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        now = int(time.time() * 1000)
        if request.WhichOneof("message") == "ping":
            self._reply(pong=now)
        else:
            self._reply(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=now))
        return [signaling.Ping(id=0)]

    def _describe(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        """Change the participant's own name, metadata and attributes; empty values leave them unchanged."""
        asked = request.update_metadata
        answer = rtc.RequestResponse(request_id=asked.request_id, update_metadata=asked)
        self._asked = _Asked(answer, rtc.SignalResponse(request_response=answer))
        attributes = dict(asked.attributes)
        said: list[signaling.ClientMessage] = [
            signaling.Describe(name=asked.name or None, metadata=asked.metadata or None, attributes=attributes)
        ]
        if infos.HAND in attributes and self._grants.describe:
            said.append(signaling.Hand(raised=bool(attributes[infos.HAND])))
        return said

    def _permit(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        asked = request.subscription_permission
        if len(asked.track_permissions) > MAX_PERMITTED:
            raise ValueError("too many permissions")
        to = tuple(
            Permitted(
                participant=names.participant_of(one.participant_sid) if one.participant_sid else "",
                identity=one.participant_identity,
                tracks=None if one.all_tracks else tuple(names.track_of(sid) for sid in one.track_sids),
            )
            for one in asked.track_permissions
        )
        return [signaling.Permit(everyone=asked.all_participants, to=to)]

    def _publish_data_track(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        asked = request.publish_data_track_request
        refusal = rtc.RequestResponse(publish_data_track=asked)
        try:
            made = self._data_tracks.publish(asked)
        except NotPublished as error:
            refusal.reason, refusal.message = error.reason, str(error)
            self._reply(request_response=refusal)
            return []
        response = rtc.PublishDataTrackResponse(info=made)
        self._asked = _Asked(refusal, rtc.SignalResponse(publish_data_track_response=response))
        return [signaling.DataTracks(tracks=listed_data_tracks([*self._data_tracks.own.values(), made]))]

    def _unpublish_data_track(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        asked = request.unpublish_data_track_request
        refusal = rtc.RequestResponse(unpublish_data_track=asked, reason=rtc.RequestResponse.Reason.NOT_FOUND)
        gone = self._data_tracks.own.get(asked.pub_handle)
        if gone is None:
            self._reply(request_response=refusal)
            return []
        response = rtc.UnpublishDataTrackResponse(info=gone)
        self._asked = _Asked(refusal, rtc.SignalResponse(unpublish_data_track_response=response))
        rest = [track for track in self._data_tracks.own.values() if track is not gone]
        return [signaling.DataTracks(tracks=listed_data_tracks(rest))]

    def _subscribe_to_data(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        self.replies.append(self._data_tracks.subscribe(request.update_data_subscription, self._participants))
        return []

    def _refuse_blob(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        """Refuse to keep or return data for data tracks."""
        asked = getattr(request, request.WhichOneof("message") or "")
        reason = rtc.RequestResponse.Reason.UNSUPPORTED_TYPE
        answer = rtc.RequestResponse(request_id=asked.request_id, reason=reason, message=_NO_BLOBS)
        self._reply(request_response=answer)
        return []

    def done(self) -> "list[rtc.SignalResponse]":
        """Return the responses to the last request, once the room has carried it out."""
        asked, self._asked = self._asked, None
        return [] if asked is None else [asked.done]

    def _reply(self, **message: object) -> None:
        self.replies.append(rtc.SignalResponse(**message))  # type: ignore[arg-type]  # one of its messages

    def _add_track(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        """Announce a track. It gets its id at once, since clients wait for that before they offer."""
        asked = request.add_track
        try:
            track = self._announced.add(asked, self._grants.publish)
        except NotAllowed as error:
            reason = rtc.RequestResponse.Reason.NOT_ALLOWED
            refusal = rtc.RequestResponse(reason=reason, message=str(error), add_track=asked)
            self._reply(request_response=refusal)
        else:
            self._reply(track_published=rtc.TrackPublishedResponse(cid=asked.cid, track=track))
        return []

    def _offer(self, request: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        offer = request.offer
        tracks = self._announced.offered(offer.sdp)
        return [signaling.Offer(peer="publish", sdp=offer.sdp, id=offer.id, tracks=tracks)]

    def _mute(self, asked: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        request = asked.mute
        track = names.track_of(request.sid)
        is_offered = self._announced.mute(track, request.muted)
        return [signaling.MediaControl(track=track, muted=request.muted)] if is_offered else []

    def _subscribe(self, asked: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        request = asked.subscription
        sids = [*request.track_sids, *(sid for of in request.participant_tracks for sid in of.track_sids)]
        return self._want({names.track_of(sid): {"on": request.subscribe} for sid in sids})

    def _set_tracks(self, asked: "rtc.SignalRequest") -> list[signaling.ClientMessage]:
        request = asked.track_setting
        shown = {
            "width": min(request.width, 16384),
            "height": min(request.height, 16384) or _HEIGHTS.get(request.quality, 0),
            "hidden": request.disabled,
        }
        return self._want({names.track_of(sid): shown for sid in request.track_sids})

    def _want(self, changes: dict[str, dict[str, int]]) -> list[signaling.ClientMessage]:
        wanted = []
        for track, change in changes.items():
            if track in self._tracks:
                before = self._wants.get(track, WantedTrack(track=track))
                self._wants[track] = after = WantedTrack(
                    track=track,
                    on=bool(change.get("on", before.on)),
                    width=change.get("width", before.width),
                    height=change.get("height", before.height),
                    hidden=bool(change.get("hidden", before.hidden)),
                )
                wanted.append(after)
        return [signaling.Subscribe(tracks=wanted)] if wanted else []

    # Responses

    def tell(self, message: signaling.Message) -> "list[rtc.SignalResponse]":
        """Return the responses for a message from the room."""
        telling = self._telling.get(type(message))
        return telling(message) if telling is not None else []

    def _described(self, message: signaling.Offer | signaling.Answer) -> "list[rtc.SignalResponse]":
        if isinstance(message, signaling.Answer):
            shown = _shown(message.sdp) if self.has_one_peer else {}
            answer = rtc.SessionDescription(type="answer", sdp=message.sdp, id=message.id, mid_to_track_id=shown)
            return [rtc.SignalResponse(answer=answer)]
        self._offer_id = message.id
        return [rtc.SignalResponse(offer=rtc.SessionDescription(type="offer", sdp=message.sdp, id=message.id))]

    def _participant_changed(
        self, message: signaling.ParticipantJoined | signaling.ParticipantUpdated
    ) -> "list[rtc.SignalResponse]":
        info = message.participant
        before = self._participants.get(info.participant)
        self._participants[info.participant] = info
        said = self._update(info.participant)
        if info.participant == self._me:
            self._data_tracks.told(info)
        said += self._data_tracks.prune(self._participants)
        if before is None or (before.quality, before.connected) != (info.quality, info.connected):
            said += self._qualities([info])
        return said

    def _qualities(self, people: Iterable[ParticipantInfo]) -> "list[rtc.SignalResponse]":
        """Return connection qualities; the scores are the reference server's for these levels."""
        told = [
            rtc.ConnectionQualityInfo(
                participant_sid=names.participant_sid(info.participant),
                quality=(quality := names.quality_of(info.quality, connected=info.connected)),
                score=_SCORES[quality],
            )
            for info in people
        ]
        return [rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=told))]

    def _granted(self, message: signaling.GrantsChanged) -> "list[rtc.SignalResponse]":
        self._grants = message.grants
        return self._update(self._me)

    def _recording(self, message: signaling.RecordingChanged) -> "list[rtc.SignalResponse]":
        self._room.active_recording = message.state.active
        return [rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self._room))]

    def _described_room(self, message: signaling.RoomDescribed) -> "list[rtc.SignalResponse]":
        self._room.metadata = message.metadata
        return [rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self._room))]

    def _moved(self, message: signaling.Move) -> "list[rtc.SignalResponse]":
        """Tell of another room, in which the client's token admits it. Its session here ends: it joins there anew."""
        room = models.Room(sid=names.room_sid(message.meeting), name=message.title)
        moved = rtc.RoomMovedResponse(room=room, token=self._refreshed, participant=self._info(self._me))
        return [rtc.SignalResponse(room_moved=moved)]

    def _welcome(self, message: signaling.RoomInfo) -> "list[rtc.SignalResponse]":
        self._me, self._grants, self.resume = message.participant, message.grants, message.resume
        self._participants = {info.participant: info for info in message.participants}
        self._tracks = {info.track: info for info in message.tracks}
        self._data_tracks.told(self._participants[self._me])
        self._room.metadata = message.metadata
        self._room.sid = names.room_sid(message.room)
        self._room.creation_time = message.opened_at // 1000
        self._room.creation_time_ms = message.opened_at
        self._room.num_participants = len(message.participants)
        self._room.active_recording = message.recording.active
        server = models.ServerInfo(
            edition=models.ServerInfo.Edition.Standard, version=names.SERVER_VERSION, protocol=names.PROTOCOL
        )
        others = [self._info(who) for who in self._participants if who != self._me]
        told: list[rtc.SignalResponse] = []
        if message.resumed:
            back = rtc.ReconnectResponse(ice_servers=self._ice_servers, server_info=server)
            told.append(rtc.SignalResponse(reconnect=back))
            told.append(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[*others, self._info(self._me)])))
        else:
            joined = rtc.JoinResponse(
                room=self._room,
                participant=self._info(self._me),
                other_participants=others,
                server_version=names.SERVER_VERSION,
                server_info=server,
                ice_servers=self._ice_servers,
                subscriber_primary=not self.has_one_peer,
                fast_publish=self.has_one_peer and bool(self._grants.publish),
                ping_interval=names.PING_INTERVAL_SECONDS,
                ping_timeout=names.PING_TIMEOUT_SECONDS,
                enabled_publish_codecs=[models.Codec(mime=mime) for mime in _ENABLED],
            )
            told.append(rtc.SignalResponse(join=joined))
        told += self._qualities(self._participants.values())
        if self._refreshed:
            told.append(rtc.SignalResponse(refresh_token=self._refreshed))
        return told

    def _info(self, who: str) -> "models.ParticipantInfo":
        tracks = [info for info in self._tracks.values() if info.participant == who]
        permission = infos.permission(self._grants) if who == self._me else None
        return infos.participant(self._participants[who], tracks, permission)

    def _update(self, who: str) -> "list[rtc.SignalResponse]":
        if who not in self._participants:
            return []
        return [rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[self._info(who)]))]

    def _left(self, message: signaling.ParticipantLeft) -> "list[rtc.SignalResponse]":
        info = self._participants.pop(message.participant, None)
        if info is None:
            return []
        self._forget(track for track, one in self._tracks.items() if one.participant == message.participant)
        gone = infos.participant(info, ())
        gone.state = models.ParticipantInfo.State.DISCONNECTED
        gone.disconnect_reason = names.left_reason(message.reason)
        said = [rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[gone]))]
        return [*said, *self._data_tracks.prune(self._participants)]

    def _forget(self, tracks: Iterable[str]) -> None:
        for track in list(tracks):
            self._tracks.pop(track, None)
            self._wants.pop(track, None)
            self._withheld.discard(track)

    def _track_changed(
        self, message: signaling.TrackPublished | signaling.TrackUnpublished | signaling.TrackMuted
    ) -> "list[rtc.SignalResponse]":
        if isinstance(message, signaling.TrackPublished):
            self._tracks[message.track.track] = message.track
            return self._update(message.track.participant)
        known = self._tracks.get(message.track)
        if known is None:
            return self._own_muted(message)
        if isinstance(message, signaling.TrackUnpublished):
            self._forget([message.track])
        else:
            self._tracks[message.track] = _muted(known, message.muted)
        return self._update(known.participant)

    def _own_muted(self, message: signaling.TrackUnpublished | signaling.TrackMuted) -> "list[rtc.SignalResponse]":
        """Tell a client that a host has muted its track; it knows of its own muting."""
        said = self._announced.is_muted(message.track)
        if isinstance(message, signaling.TrackUnpublished) or said is None or said == message.muted:
            return []
        mute = rtc.MuteTrackRequest(sid=names.track_sid(message.track), muted=message.muted)
        return [rtc.SignalResponse(mute=mute)]

    def _sections_wanted(self, message: signaling.SectionsWanted) -> "list[rtc.SignalResponse]":
        required = rtc.MediaSectionsRequirement(num_audios=message.audio, num_videos=message.video)
        return [rtc.SignalResponse(media_sections_requirement=required)]

    def _watched(self, message: signaling.Watched) -> "list[rtc.SignalResponse]":
        subscribed = rtc.TrackSubscribed(track_sid=names.track_sid(message.track))
        return [rtc.SignalResponse(track_subscribed=subscribed)]

    def _chat(self, message: signaling.Chat) -> "list[rtc.SignalResponse]":
        """Pass on others' chat messages, except those of clients with this protocol, who send them in packets
        themselves.
        """
        info = self._participants.get(message.participant or "")
        if info is None or not info.identity:
            sender = message.participant or ""
            self.packets += chat_packets(message, sender, names.participant_sid(sender))
        return []

    def _caption(self, message: signaling.Caption) -> "list[rtc.SignalResponse]":
        info = self._participants.get(message.participant)
        if info is not None:
            sid, track = names.participant_sid(message.participant), names.track_sid(message.track)
            now = int(time.time() * 1000)
            self.packets += caption_packets(message, infos.identity_of(info), sid, track, now)
        return []

    def _refused(self, message: signaling.Error) -> "list[rtc.SignalResponse]":
        if message.fatal:
            return [rtc.SignalResponse(leave=names.leave_request(message.code))]
        reason = rtc.RequestResponse.Reason
        reasons = {
            Code.NOT_PERMITTED.value: reason.NOT_ALLOWED,
            Code.PUBLISH_NOT_PERMITTED.value: reason.NOT_ALLOWED,
            Code.TOO_MANY_REQUESTS.value: reason.LIMIT_EXCEEDED,
            Code.UNKNOWN_TRACK.value: reason.NOT_FOUND,
        }
        answer, self._asked = self._asked.refusal if self._asked else rtc.RequestResponse(), None
        answer.reason, answer.message = reasons.get(message.code, reason.NOT_FOUND), message.detail
        return [rtc.SignalResponse(request_response=answer)]

    def _speakers(self, message: signaling.Speakers) -> "list[rtc.SignalResponse]":
        now = {entry.participant: 10 ** (-entry.level / 20) for entry in message.speakers}
        said = [
            models.SpeakerInfo(sid=names.participant_sid(who), level=level, active=True) for who, level in now.items()
        ]
        ended = [models.SpeakerInfo(sid=names.participant_sid(who)) for who in self._speaking if who not in now]
        self._speaking = tuple(now)
        return [rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=[*said, *ended]))]

    def _layers(self, message: signaling.Layers) -> "list[rtc.SignalResponse]":
        codec = self._announced.codec_of(message.track)
        if codec is None:
            return []
        everything = "" in message.active
        qualities = [
            rtc.SubscribedQuality(quality=quality, enabled=everything or rid in message.active)
            for rid, quality in names.RIDS.items()
        ]
        subscribed = rtc.SubscribedCodec(codec=(codec or "VP8").lower(), qualities=qualities)
        update = rtc.SubscribedQualityUpdate(
            track_sid=names.track_sid(message.track), subscribed_qualities=qualities, subscribed_codecs=[subscribed]
        )
        return [rtc.SignalResponse(subscribed_quality_update=update)]

    def _track_state(self, message: signaling.TrackState) -> "list[rtc.SignalResponse]":
        info = self._tracks.get(message.track)
        if info is None:
            return []
        sid = names.track_sid(message.track)
        is_withheld = message.reason == "not_shared"
        if is_withheld or message.track in self._withheld:
            (self._withheld.add if is_withheld else self._withheld.discard)(message.track)
            allowed = rtc.SubscriptionPermissionUpdate(
                participant_sid=names.participant_sid(info.participant), track_sid=sid, allowed=not is_withheld
            )
            return [rtc.SignalResponse(subscription_permission_update=allowed)]
        if message.reason == "codec_unsupported":
            unreadable = rtc.SubscriptionResponse(track_sid=sid, err=models.SubscriptionError.SE_CODEC_UNSUPPORTED)
            return [rtc.SignalResponse(subscription_response=unreadable)]
        state = rtc.StreamStateInfo(
            participant_sid=names.participant_sid(info.participant),
            track_sid=sid,
            state=rtc.StreamState.PAUSED if message.paused else rtc.StreamState.ACTIVE,
        )
        return [rtc.SignalResponse(stream_state_update=rtc.StreamStateUpdate(stream_states=[state]))]


def _muted(info: TrackInfo, muted: bool) -> TrackInfo:
    return TrackInfo(**{name: getattr(info, name) for name in info.__struct_fields__} | {"muted": muted})


def _shown(sdp: str) -> dict[str, str]:
    """Return the tracks that an answer shows, by mid, since browsers keep other ids for the sections of their
    offers.
    """
    named = ((section.mid, section.msids[0].track) for section in parse_sdp(sdp).media if section.msids)
    return {mid: track for mid, track in named if mid and track}


def _ice_server(server: IceServer) -> "rtc.ICEServer":
    return rtc.ICEServer(urls=server.urls, username=server.username or "", credential=server.credential or "")
