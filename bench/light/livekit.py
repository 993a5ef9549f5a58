"""A participant on LiveKit's server, as its own client would join, with the same camera, microphone and tiles.

The server has full ICE agents, its default, and the client controls both peers. The server estimates subscribers by
REMB, which claims a high bandwidth here because links are not measured.
"""

import asyncio
import secrets
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from bench.light.camera import REPAIR_RATE, meeting_offer, meeting_tracks, sends_red
from bench.light.handshake import Handshake
from bench.light.joining import JOIN_SECONDS, JoinFailed, shared_certificate
from bench.light.library import AUDIO, RTX, VIDEO, LightClient, PeerSettings
from bench.light.meeting import CHECK_MS
from bench.light.performer import Performer
from bench.light.recording import RIDS, SIZES
from bench.light.tiles import Size, Tiles
from bench.livekit_process import LiveKitProcess
from parley_client.descriptions import remote_side, subscribe_answer
from sfu.formats.codecs import Codec
from sfu.formats.sdp import SessionDescription, Setup
from sfu.formats.sdp import parse as parse_sdp
from sfu.machines.dtls.srtp import DtlsKeys
from sfu.machines.negotiation.agreement import DtlsRole

REMB = 20_000_000
PING_SECONDS = 5.0
_CODECS = frozenset({Codec.OPUS, Codec.VP8})
_KINDS = {"opus": AUDIO, "vp8": VIDEO, "rtx": RTX}
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
_QUERY = "protocol=15&sdk=js&version=2.5.0&auto_subscribe=1&adaptive_stream=1"


class LiveKitParticipant:
    """A participant who, after `enter`, publishes with `performer` and watches with `tiles`."""

    performer: Performer | None = None

    def __init__(
        self, client: LightClient, server: LiveKitProcess, room: str, *, tiles: int, loss: float = 0.0
    ) -> None:
        self.participant = f"p-{secrets.token_hex(6)}"
        self.peer = 0
        self.publish_peer = 0
        self.tiles = Tiles(tiles)
        self._client = client
        self._server = server
        self._room = room
        self._loss = loss
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer: asyncio.Future[rtc.SessionDescription] = asyncio.get_running_loop().create_future()
        self._candidates = {
            target: asyncio.Event() for target in (rtc.SignalTarget.PUBLISHER, rtc.SignalTarget.SUBSCRIBER)
        }
        self._published = 0
        self._ready = asyncio.Event()
        self._subscribe: Handshake | None = None
        self._rtx: dict[int, int] = {}

    async def enter(self, *, publishes: bool) -> None:
        """Join, and offer a camera and a microphone, which send nothing yet; raises JoinFailed or TimeoutError."""
        token = self._server.token(self._room, self.participant, publishes=publishes)
        async with asyncio.timeout(JOIN_SECONDS):
            self._session = aiohttp.ClientSession()
            self._socket = await self._session.ws_connect(
                f"{self._server.signaling_url}?{_QUERY}&access_token={token}", compress=0
            )
            self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._ping())]
            await self._connected
            if publishes:
                await self._publish()

    async def leave(self) -> None:
        """Leave for good."""
        if self._socket is not None and not self._socket.closed:
            await self._say(rtc.SignalRequest(leave=rtc.LeaveRequest()))
        await self.abandon()

    async def abandon(self) -> None:
        """Close everything without notifying the server."""
        for peer in (self.peer, self.publish_peer):
            if peer:
                self._client.remove(peer)
        self.peer = self.publish_peer = 0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _publish(self) -> None:
        tracks = meeting_tracks()
        layers = [
            models.VideoLayer(quality=quality, width=SIZES[rid][0], height=SIZES[rid][1], ssrc=0)
            for quality, rid in zip(_QUALITIES, RIDS, strict=True)
        ]
        sound = rtc.AddTrackRequest(
            cid="track-0", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE, disable_dtx=True
        )
        camera = rtc.AddTrackRequest(
            cid="track-1",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            width=1280,
            height=720,
            layers=layers,
        )
        for request in (sound, camera):
            await self._say(rtc.SignalRequest(add_track=request))
        await self._ready.wait()
        handshake = Handshake(shared_certificate())
        offer = rtc.SessionDescription(type="offer", sdp=meeting_offer(handshake.local, tracks), id=1)
        await self._say(rtc.SignalRequest(offer=offer))
        answer = await self._answer
        description = parse_sdp(answer.sdp)
        remote, _ = remote_side(description, "127.0.0.1")
        role = DtlsRole.SERVER if description.media[0].transport.setup is Setup.ACTIVE else DtlsRole.CLIENT
        await self._candidates[rtc.SignalTarget.PUBLISHER].wait()
        keys = await handshake.connect(remote, ("127.0.0.1", self._server.udp_port), role)
        settings = self._settings(handshake, keys, {}, gives_feedback=False, repair_rate=REPAIR_RATE)
        self.publish_peer = self._client.add(handshake.socket.detach(), settings)
        self.performer = Performer(self._client, self.publish_peer, sends_red(tracks, answer.sdp))

    def _settings(self, handshake: Handshake, keys: DtlsKeys, kinds: dict[int, int], **more: Any) -> PeerSettings:
        check, key = handshake.check()
        return PeerSettings(
            keys,
            check,
            key,
            kinds,
            check_ms=CHECK_MS,
            answer_key=handshake.answer_key,
            loss=self._loss,
            **more,
        )

    async def _say(self, request: rtc.SignalRequest) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(request.SerializeToString())

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._say(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1)))

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await self._handle(rtc.SignalResponse.FromString(message.data))
            raise JoinFailed("LiveKit's server closed the signaling socket")
        except Exception as error:
            for waiting in (self._connected, self._answer):
                if not waiting.done():
                    waiting.set_exception(error)
            raise

    async def _handle(self, response: rtc.SignalResponse) -> None:
        match response.WhichOneof("message"):
            case "join":
                self._take(response.join.other_participants)
            case "offer":
                await self._take_offer(response.offer)
                return
            case "answer":
                if not self._answer.done():
                    self._answer.set_result(response.answer)
                return
            case "trickle":
                self._candidates[response.trickle.target].set()
                return
            case "track_published":
                self._published += 1
                if self._published == 2:
                    self._ready.set()
                return
            case "update":
                self._take(response.update.participants)
            case "speakers_changed":
                speaking = [speaker for speaker in response.speakers_changed.speakers if speaker.active]
                speaking.sort(key=lambda speaker: -speaker.level)
                self.tiles.listen_to(speaker.sid for speaker in speaking)
            case _:
                return
        for track, size in self.tiles.changes().items():
            await self._say(rtc.SignalRequest(track_setting=_wish(track, size)))

    def _take(self, participants: "list[models.ParticipantInfo]") -> None:
        for participant in participants:
            if participant.identity == self.participant:
                continue
            if participant.state == models.ParticipantInfo.State.DISCONNECTED:
                self.tiles.remove_participant(participant.sid)
                continue
            for track in participant.tracks:
                if track.source == models.TrackSource.CAMERA:
                    self.tiles.add(participant.sid, track.sid)

    async def _take_offer(self, offer: rtc.SessionDescription) -> None:
        description = parse_sdp(offer.sdp)
        first = self._subscribe is None
        handshake = self._subscribe = self._subscribe or Handshake(shared_certificate())
        sdp = subscribe_answer(description, handshake.local, _CODECS, data=True)
        answer = rtc.SessionDescription(type="answer", sdp=sdp, id=offer.id)
        await self._say(rtc.SignalRequest(answer=answer))
        for section in description.media:
            for group in section.ssrc_groups:
                if group.semantics == "FID" and group.ssrcs[1] not in self._rtx:
                    self._rtx[group.ssrcs[1]] = group.ssrcs[0]
                    if self.peer:
                        self._client.learn(self.peer, group.ssrcs[1], group.ssrcs[0])
        if first:
            self._tasks.append(asyncio.create_task(self._connect(description, handshake)))

    async def _connect(self, description: SessionDescription, handshake: Handshake) -> None:
        try:
            remote, _ = remote_side(description, "127.0.0.1")
            await self._candidates[rtc.SignalTarget.SUBSCRIBER].wait()
            keys = await handshake.connect(remote, ("127.0.0.1", self._server.udp_port))
        except Exception as error:
            self._connected.set_exception(error)
            raise
        settings = self._settings(handshake, keys, _PAYLOADS, remb=REMB)
        self.peer = self._client.add(handshake.socket.detach(), settings)
        for rtx, ssrc in self._rtx.items():
            self._client.learn(self.peer, rtx, ssrc)
        if not self._connected.done():
            self._connected.set_result(None)


_PAYLOADS = {111: AUDIO, 96: VIDEO, 97: RTX}


def _wish(track: str, size: Size | None) -> rtc.UpdateTrackSettings:
    width, height = size or (0, 0)
    return rtc.UpdateTrackSettings(track_sids=[track], disabled=size is None, width=width, height=height)
