"""Participants of the light client, which join through the sfu's signaling, publish tracks and receive offered ones."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from bench.light.handshake import Handshake
from bench.light.library import AUDIO, RTX, VIDEO, LightClient, PeerSettings, TrackSettings
from bench.light.websocket import SocketClosed, WebSocket
from bench.sfu_process import SfuProcess
from parley_client.descriptions import (
    PAYLOAD_TYPES,
    PUBLISH_EXTENSIONS,
    RTX_PAYLOAD_TYPES,
    OfferedTrack,
    publish_offer,
    remote_side,
    subscribe_answer,
)
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.sdp import SessionDescription
from sfu.formats.sdp import parse as parse_sdp
from sfu.machines.dtls.certificate import DtlsCertificate, generate_certificate
from sfu.machines.dtls.context import context_of

JOIN_SECONDS = 60.0
_CODECS = frozenset({Codec.OPUS, Codec.VP8})
_IDS = {extension: number for number, extension in PUBLISH_EXTENSIONS.items()}


class JoinFailed(ConnectionError):
    """The server refused, or closed the session."""


class Participant:
    """A participant. After `join` its subscribe peer is connected, and C receives its packets."""

    needed: tuple[bytes, ...] = (b'"kind":"offer"', b'"kind":"answer"', b'"kind":"track-published"', b'"kind":"error"')
    """Prefixes of the messages that are read; all others are skipped."""

    def __init__(
        self,
        client: LightClient,
        sfu: SfuProcess,
        room: str,
        *,
        gives_feedback: bool = True,
        loss: float = 0.0,
        check_ms: int = 5000,
    ) -> None:
        self.participant = f"p-{secrets.token_hex(6)}"
        self.peer = 0
        self.publish_peer = 0
        self.joined_at = self.connected_at = 0
        self.tracks: set[str] = set()
        self._client = client
        self._sfu = sfu
        self._room = room
        self._gives_feedback = gives_feedback
        self._loss = loss
        self._check_ms = check_ms
        self._certificate = shared_certificate()
        self._socket: WebSocket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._subscribe: Handshake | None = None
        self._connected: asyncio.Future[None] | None = None
        self._answers: asyncio.Queue[signaling.Answer | Exception] = asyncio.Queue()
        self._rtx: dict[int, int] = {}

    async def join(self, *, publishes: bool = False) -> None:
        """Join and connect the subscribe peer; raises JoinFailed, HandshakeFailed or TimeoutError."""
        self.joined_at = time.monotonic_ns()
        token = self._sfu.control.token(self._room, self.participant, publishes=publishes)
        self._connected = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(JOIN_SECONDS):
            self._socket = await WebSocket.connect(self._sfu.signaling_url, self.needed)
            self._socket.send(signaling.encode(signaling.Join(v=signaling.VERSION, token=token)))
            self._reader = asyncio.create_task(self._read(self._socket))
            await self._connected
        self.connected_at = time.monotonic_ns()

    async def publish(self, *codecs: Codec) -> list[int]:
        """Publish a microphone (OPUS) and cameras (VP8); return their sources for LightClient.perform."""
        handshake = Handshake(self._certificate)
        cname = secrets.token_hex(8)
        offered = [
            OfferedTrack(str(k), codec, _ssrc(), None if codec.is_audio else _ssrc(), cname)
            for k, codec in enumerate(codecs)
        ]
        sdp = publish_offer(handshake.local, offered, 1)
        sources = [Source.MICROPHONE if codec.is_audio else Source.CAMERA for codec in codecs]
        tracks = [
            signaling_values.OfferedTrack(mid=track.mid, source=source)
            for track, source in zip(offered, sources, strict=True)
        ]
        await self._open_publish_peer(handshake, sdp, tracks)
        return [self._client.track(self.publish_peer, _track(track)) for track in offered]

    async def _open_publish_peer(
        self,
        handshake: Handshake,
        sdp: str,
        tracks: list[signaling_values.OfferedTrack],
        *,
        repair_rate: int = 0,
    ) -> signaling.Answer:
        """Send an offer, and connect the peer of its answer."""
        assert self._socket is not None
        self._socket.send(signaling.encode(signaling.Offer(peer="publish", sdp=sdp, tracks=tracks)))
        async with asyncio.timeout(JOIN_SECONDS):
            said = await self._answers.get()
            if isinstance(said, Exception):
                raise said
            remote, candidates = remote_side(parse_sdp(said.sdp), "127.0.0.1")
            keys = await handshake.connect(remote, candidates[0])
        check, check_key = handshake.check()
        settings = PeerSettings(
            keys,
            check,
            check_key,
            {},
            gives_feedback=False,
            check_ms=self._check_ms,
            loss=self._loss,
            repair_rate=repair_rate,
        )
        self.publish_peer = self._client.add(handshake.socket.detach(), settings)
        return said

    async def want(self, track: str, *, on: bool) -> None:
        """Turn another participant's track on or off."""
        assert self._socket is not None
        wanted = signaling_values.WantedTrack(track=track, on=on, width=1280, height=720)
        self._socket.send(signaling.encode(signaling.Subscribe(tracks=[wanted])))

    async def say(self, message: signaling.Message) -> None:
        """Send a signaling message."""
        assert self._socket is not None
        self._socket.send(signaling.encode(message))

    async def leave(self) -> None:
        """Leave for good."""
        if self._socket is not None and self._socket.is_open:
            self._socket.send(signaling.encode(signaling.Leave()))
        await self.abandon()

    async def abandon(self) -> None:
        """Close everything without notifying the server."""
        for peer in (self.peer, self.publish_peer):
            if peer:
                self._client.remove(peer)
        self.peer = self.publish_peer = 0
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _read(self, socket: WebSocket) -> None:
        try:
            while True:
                await self._handle(signaling.decode_server(await socket.receive()), socket)
        except SocketClosed as closed:
            self._fail(JoinFailed(str(closed)))
        except (ConnectionError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(error)
        self._answers.put_nowait(error)

    async def _handle(self, message: signaling.ServerMessage, socket: WebSocket) -> None:
        match message:
            case signaling.Offer():
                await self._answer(message, socket)
            case signaling.Answer():
                self._answers.put_nowait(message)
            case signaling.TrackPublished():
                self.tracks.add(message.track.track)
            case signaling.Error():
                raise JoinFailed(f"{message.code}: {message.detail}")
            case _:
                pass

    async def _answer(self, offer: signaling.Offer, socket: WebSocket) -> None:
        description = parse_sdp(offer.sdp)
        first = self._subscribe is None
        handshake = self._subscribe = self._subscribe or Handshake(self._certificate)
        answer = subscribe_answer(description, handshake.local, _CODECS)
        socket.send(signaling.encode(signaling.Answer(peer="subscribe", sdp=answer, id=offer.id)))
        for section in description.media:
            for group in section.ssrc_groups:
                if group.semantics == "FID" and group.ssrcs[1] not in self._rtx:
                    self._rtx[group.ssrcs[1]] = group.ssrcs[0]
                    if self.peer:
                        self._client.learn(self.peer, group.ssrcs[1], group.ssrcs[0])
        if first:
            await self._connect(description, handshake)

    async def _connect(self, description: SessionDescription, handshake: Handshake) -> None:
        remote, candidates = remote_side(description, "127.0.0.1")
        keys = await handshake.connect(remote, candidates[0])
        check, check_key = handshake.check()
        ids = {entry.uri: entry.id for section in description.media for entry in section.extensions}
        settings = PeerSettings(
            keys,
            check,
            check_key,
            _KINDS,
            transport_seq_id=ids.get(URIS[Extension.TRANSPORT_SEQ], 0) if self._gives_feedback else 0,
            gives_feedback=self._gives_feedback,
            remb=0 if self._gives_feedback else 20_000_000,
            check_ms=self._check_ms,
            loss=self._loss,
        )
        self.peer = self._client.add(handshake.socket.detach(), settings)
        for rtx, ssrc in self._rtx.items():
            self._client.learn(self.peer, rtx, ssrc)
        if self._connected is not None and not self._connected.done():
            self._connected.set_result(None)


async def join_all(
    make: Callable[[], Participant], count: int, *, at_once: int = 8, told: Callable[[int], None] | None = None
) -> list[Participant]:
    """Join `count` participants, up to `at_once` at a time."""
    joined: list[Participant] = []
    waiting = iter(range(count))

    async def work() -> None:
        for _ in waiting:
            participant = make()
            await participant.join()
            joined.append(participant)
            if told is not None:
                told(len(joined))

    await asyncio.gather(*(work() for _ in range(min(at_once, count))))
    return joined


async def leave_all(participants: Sequence[Participant]) -> None:
    """Close all without notifying the server."""
    await asyncio.gather(*(participant.abandon() for participant in participants))


_KINDS = {
    PAYLOAD_TYPES[Codec.OPUS]: AUDIO,
    PAYLOAD_TYPES[Codec.VP8]: VIDEO,
    RTX_PAYLOAD_TYPES[Codec.VP8]: RTX,
}
_SRTP_PROFILES = b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
_shared: list[DtlsCertificate] = []


def shared_certificate() -> DtlsCertificate:
    """Return the certificate of all peers: generating keys is not measured. It offers C's SRTP profiles, GCM first."""
    if not _shared:
        made = generate_certificate()
        context_of(made).set_tlsext_use_srtp(_SRTP_PROFILES)
        _shared.append(made)
    return _shared[0]


def _ssrc() -> int:
    return secrets.randbits(31) | 1


def _track(track: OfferedTrack) -> TrackSettings:
    is_audio = track.codec.is_audio
    return TrackSettings(
        ssrc=track.ssrc,
        rtx_ssrc=track.rtx_ssrc or 0,
        payload_type=PAYLOAD_TYPES[track.codec],
        rtx_payload_type=RTX_PAYLOAD_TYPES.get(track.codec, 0),
        is_video=not is_audio,
        mid=track.mid,
        mid_id=_IDS[Extension.MID],
        transport_seq_id=_IDS[Extension.TRANSPORT_SEQ],
        audio_level_id=_IDS[Extension.AUDIO_LEVEL] if is_audio else 0,
        clock_rate=48_000 if is_audio else 90_000,
    )
