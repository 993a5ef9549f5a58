"""A joined room: signaling over WebSocket, a publish and a subscribe peer, and the state received from the server."""

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from parley_client.client_peer import ClientPeer, Received
from parley_client.descriptions import publish_offer, remote_side, subscribe_answer
from parley_client.encryption import ENCRYPTED_CODECS, Encryption
from parley_client.feed import Feed, opened
from parley_client.peer_endpoint import PeerEndpoint, PeerFailed
from parley_client.publishing import Publication, TransportSequence
from parley_client.subscribing import ReceivedStream, SubscribePeerReceiver
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.data_message import MAX_MESSAGE_BYTES, DataMessage, serialize
from sfu.formats.data_message import parse as parse_data
from sfu.formats.rtcp import Nack, Packet, PictureLoss
from sfu.formats.rtcp import parse as parse_rtcp
from sfu.formats.sdp import parse as parse_sdp
from sfu.frames.assembler import Frame
from sfu.machines.dtls.certificate import generate_certificate
from sfu.machines.ice.lite import Address
from sfu.machines.negotiation.agreement import RemoteTransport
from sfu.peers.data_channels import DataItem, Sent

_log = logging.getLogger(__name__)

_FEEDBACK_SECONDS = 0.05
_REPORT_SECONDS = 1.0
_DATA_SECONDS = 0.01
_DATA_BUFFERED = 256 * 1024
_HEARD = 10_000
_FAREWELL_SECONDS = 5.0  # the server's reason for an end may arrive after the end of the media
_PING_SECONDS = 5.0  # a server that loses its power or its network closes no connection
_Entry = TypeVar("_Entry")
ALL_CODECS = frozenset({Codec.OPUS, Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1})


class EncodedFrame(NamedTuple):
    """A complete frame of a remote track. `timestamp` is in units of the codec's clock: 48 kHz for Opus, 90 kHz for
    video.

    `intact` is False if a frame to which this one refers is missing.
    """

    codec: Codec
    data: bytes
    timestamp: int
    keyframe: bool
    intact: bool


class DataReceived(NamedTuple):
    """A data message from another participant."""

    sender: str
    topic: str
    payload: bytes
    reliable: bool


class SignalingRefused(ConnectionError):
    """The server refused; `code` is the stable code of its error message."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclass(slots=True)
class RoomState:
    """State received from the server: participants and tracks by id, slots by mid, and other messages, of which the
    newest 10,000 of each kind are kept.
    """

    info: signaling.RoomInfo | None = None
    participants: dict[str, signaling_values.ParticipantInfo] = field(default_factory=dict)
    tracks: dict[str, signaling_values.TrackInfo] = field(default_factory=dict)
    slots: dict[str, str | None] = field(default_factory=dict)
    captions: list[signaling.Caption] = field(default_factory=list)
    chats: list[signaling.Chat] = field(default_factory=list)
    errors: list[signaling.Error] = field(default_factory=list)
    recording: signaling_values.RecordingState = field(
        default_factory=lambda: signaling_values.RecordingState(active=False)
    )
    moved: signaling.Move | None = None
    """True if we were assigned to another room of the meeting; joining the meeting again leads there."""
    announcements: list[signaling.Announced] = field(default_factory=list)
    closed: str | None = None


class Room:
    """A participant's presence in a room; an async context manager that leaves at the end."""

    def __init__(
        self,
        signaling_url: str,
        *,
        token: str | None = None,
        resume: str | None = None,
        codecs: frozenset[Codec] = ALL_CODECS,
        keep_frames: bool = False,
        verify_tls: bool = True,
        tls: ssl.SSLContext | None = None,
        data: bool = False,
        encryption: Encryption | None = None,
    ) -> None:
        """`signaling_url` is absolute (ws or wss); give either `token` or `resume`; `data` enables data channels.

        `tls` replaces the usual context for wss. With `encryption`, the frames of Opus and VP8 are encrypted from end
        to end; other codecs are refused.
        """
        self.state = RoomState()
        self._encryption = encryption
        self._listeners: dict[str, list[Feed[EncodedFrame]]] = {}
        self._feeds: list[Feed[signaling.ServerMessage]] = []
        self._data_feeds: list[Feed[DataReceived]] = []
        self.receiver = SubscribePeerReceiver(
            secrets.randbits(31) | 1,
            keep_frames=keep_frames,
            decrypt=None if encryption is None else encryption.decrypt,
            on_frame=self._on_frame,
        )
        self.publications: list[Publication] = []
        self._url = signaling_url
        self._join = signaling.Join(v=signaling.VERSION, token=token, resume=resume, client="parley_client")
        self.heard: list[tuple[DataMessage, bool]] = []
        """Messages from data channels, oldest first, each with True if it arrived on the reliable one."""
        self._codecs = codecs
        self._data = data
        self._verify_tls, self._tls = verify_tls, tls
        self._certificate = generate_certificate()
        self._socket: ClientConnection | None = None
        self._publish: PeerEndpoint | None = None
        self._subscribe: PeerEndpoint | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._answers: list[signaling.Answer] = []
        self._cname = secrets.token_hex(8)
        self._sequence = TransportSequence()
        self._version = 0

    async def __aenter__(self) -> "Room":
        context = None
        if self._url.startswith("wss:"):
            context = self._tls or ssl.create_default_context()
            if not self._verify_tls:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        self._socket = await connect(
            self._url,
            ssl=context,
            max_size=signaling.MAX_MESSAGE_BYTES,
            proxy=None,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
        )
        await self.send(self._join)
        self._spawn(self._read())
        await self.until(lambda: self.state.info is not None)
        self._spawn(self._give_feedback())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket and self.state.closed is None:
            with contextlib.suppress(ConnectionClosed):  # it may just have been cleared
                await self.send(signaling.Leave())
        await self.abandon()

    async def abandon(self) -> None:
        """Drop all connections without closing them, as a crash would."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in (self._publish, self._subscribe):
            if endpoint:
                endpoint.close()
        if self._socket:
            await self._socket.close()

    async def send(self, message: signaling.Message) -> None:
        """Send a signaling message."""
        if self._socket is None:
            raise RuntimeError("the room is not joined")
        await self._socket.send(signaling.encode(message))

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Return when `condition` holds after a message; raises SignalingRefused on a fatal error, and TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            while not condition():
                fatal = next((e for e in self.state.errors if e.fatal), None)
                if fatal:
                    raise SignalingRefused(fatal.code, fatal.detail)
                if self.state.closed is not None:
                    raise ConnectionError(f"signaling closed: {self.state.closed}")
                await self._changed.wait()

    async def over(self) -> None:
        """Return when the signaling connection has ended for any reason, which is in `state.closed`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.closed is not None)

    async def publish(self, *tracks: tuple[Source | str, Codec | str]) -> list[Publication]:
        """Publish tracks, with a first offer or a further one on the same peer; return when media can be sent.

        Each track is a source ("microphone", "camera", "screen", "screen-audio") and a codec ("opus", "VP8", "VP9",
        "H264", "AV1"), by name or as Source and Codec. Raises ValueError for others.
        """
        known = [(Source(source), _codec(codec)) for source, codec in tracks]
        encrypt = None
        if self._encryption is not None:
            encrypt = self._encryption.encrypt
            if any(codec not in ENCRYPTED_CODECS for _, codec in known):
                raise ValueError("in an encrypted room, only Opus and VP8 can be published")
        added = [
            Publication(
                source, codec, str(len(self.publications) + i), self._cname, self._sequence, self._send_media, encrypt
            )
            for i, (source, codec) in enumerate(known)
        ]
        self.publications += added
        await self._negotiate_publish(added)
        return added

    async def unpublish(self, publication: Publication) -> None:
        """Stop a track for good."""
        publication.active = False
        await self.send(signaling.Unpublish(track=publication.track))

    async def chat(self, text: str, to: str | None = None) -> None:
        """Send a chat message to everybody, or to a participant by id; received messages are in `state.chats`."""
        await self.send(signaling.Chat(text=text, to=to))

    def messages(self) -> AbstractContextManager[Feed[signaling.ServerMessage]]:
        """Return a feed of all further signaling messages, for a `with` statement."""
        return opened(self._feeds)

    def data(self) -> AbstractContextManager[Feed[DataReceived]]:
        """Return a feed of all further data messages, for a `with` statement; needs Room(data=True)."""
        return opened(self._data_feeds)

    @contextlib.contextmanager
    def frames(self, track: str) -> Iterator[Feed[EncodedFrame]]:
        """Yield a feed of the complete encoded frames of a remote track (`media` decodes them)."""
        with opened(self._listeners.setdefault(track, [])) as feed:
            yield feed
        if not self._listeners[track]:
            del self._listeners[track]

    async def send_data(self, payload: bytes, *names: str, topic: str = "", seconds: float = 30.0) -> None:
        """Send a reliable data message as soon as the channel has room for it.

        So a series of messages, such as the pieces of a file, never overflows the channel. Raises ConnectionError if
        there is no channel, and TimeoutError.
        """
        await self._data_until(lambda buffered: buffered is not None and buffered <= _DATA_BUFFERED, seconds)
        sent = self.say(payload, *names, topic=topic)
        if sent is not Sent.TAKEN:
            raise ConnectionError(f"the data message was not sent: {sent.value}")

    async def data_sent(self, seconds: float = 30.0) -> None:
        """Return once the server has acknowledged all data messages; raises TimeoutError."""
        await self._data_until(lambda buffered: not buffered, seconds)

    async def _data_until(self, condition: Callable[[int | None], bool], seconds: float) -> None:
        """Return when a condition holds for the bytes that the data channels buffer (None while not open)."""
        async with asyncio.timeout(seconds):
            while True:
                channels = self._subscribe.peer.data if self._subscribe else None
                if condition(channels.buffered if channels is not None and channels.is_open else None):
                    return
                await asyncio.sleep(_DATA_SECONDS)

    def say(self, payload: bytes, *names: str, topic: str = "", reliable: bool = True) -> Sent:
        """Send a data message to all, or to the participants listed; raises ValueError if it is too long.

        The limit includes names and topic; the server forwards no longer messages.
        """
        message = serialize(DataMessage(payload, topic, names))
        if len(message) > MAX_MESSAGE_BYTES:
            detail = f"a data message has at most {MAX_MESSAGE_BYTES} bytes, this one has {len(message)}"
            raise ValueError(detail)
        if self._subscribe is None or self._subscribe.peer.data is None:
            return Sent.NO_CHANNEL
        sent = self._subscribe.peer.data.send(DataItem(message, reliable), time.monotonic_ns())
        self._subscribe.drive()
        return sent

    def stream_of(self, track: str) -> ReceivedStream | None:
        """Return the slot stream that carries a remote track now."""
        mid = next((mid for mid, carried in self.state.slots.items() if carried == track), None)
        return self.receiver.streams.get(mid) if mid is not None else None

    async def _negotiate_publish(self, added: list[Publication]) -> None:
        peer = self._publish.peer if self._publish else ClientPeer(self._certificate)
        self._version += 1
        sdp = publish_offer(peer.local, [p.offered for p in self.publications], self._version)
        offered = [signaling_values.OfferedTrack(mid=p.mid, source=p.source) for p in added]
        await self.send(signaling.Offer(peer="publish", sdp=sdp, tracks=offered))
        answer = await self._answer()
        for track in answer.tracks:
            next(p for p in self.publications if p.mid == track.mid).track = track.track
        if self._publish is None:
            description = parse_sdp(answer.sdp)
            self._publish = PeerEndpoint(peer, self._on_publish_packet)
            await self._publish.open(*remote_side(description, urlsplit(self._url).hostname or ""))
            self._spawn(self._leave_after(self._publish))

    async def _answer(self) -> signaling.Answer:
        await self.until(lambda: bool(self._answers))
        return self._answers.pop(0)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for data in self._socket:
                await self._handle(signaling.decode_server(data))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosedError:
            pass  # reported below, with its code
        finally:
            code = self._socket.close_code
            self.state.closed = f"{code} {self._socket.close_reason}"
            for feed in self._feeds:
                feed.end()
            for received in self._data_feeds:
                received.end()
            for listener in (listener for listeners in self._listeners.values() for listener in listeners):
                listener.end()
            async with self._changed:
                self._changed.notify_all()

    async def _handle(self, message: signaling.ServerMessage) -> None:
        match message:
            case signaling.Offer():
                await self._answer_subscribe(message)
            case signaling.Answer():
                self._answers.append(message)
            case signaling.RoomInfo():
                self.state.info = message
                self.state.participants = {p.participant: p for p in message.participants}
                self.state.tracks = {t.track: t for t in message.tracks}
                self.state.recording = message.recording
            case _:
                _note(self.state, message)
        for feed in self._feeds:
            feed.put(message)

    async def _answer_subscribe(self, offer: signaling.Offer) -> None:
        description = parse_sdp(offer.sdp)
        self.receiver.apply(description)
        peer = self._subscribe.peer if self._subscribe else ClientPeer(self._certificate)
        answer = subscribe_answer(description, peer.local, self._codecs, data=self._data)
        await self.send(signaling.Answer(peer="subscribe", sdp=answer, id=offer.id))
        if self._subscribe is None:
            if self._data:
                peer.open_data()
            self._subscribe = PeerEndpoint(peer, self._on_subscribe_packet, self._on_data)
            self._spawn(self._receive(self._subscribe, *remote_side(description, urlsplit(self._url).hostname or "")))

    async def _receive(self, endpoint: PeerEndpoint, remote: RemoteTransport, candidates: list[Address]) -> None:
        try:
            await endpoint.open(remote, candidates)
        except PeerFailed as error:
            await self._leave(f"no media can be received: {error}")
        else:
            await self._leave_after(endpoint)

    async def _leave_after(self, endpoint: PeerEndpoint) -> None:
        """Leave once a connection for media has failed, unless the server says why: who joins again gets new ones."""
        await endpoint.failure()
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self.over()
        except TimeoutError:
            await self._leave("the connection for media was lost")

    async def _leave(self, reason: str) -> None:
        assert self._socket is not None
        _log.warning("leaving the room: %s", reason)
        await self._socket.close(reason=reason)

    def _send_media(self, packet: bytes) -> bool:
        return self._publish is not None and self._publish.send(packet)

    def _on_publish_packet(self, received: Received, _: int) -> None:
        if not received.rtcp:
            return
        by_ssrc = {p.ssrc: p for p in self.publications}
        for packet in _parsed(received.data):
            if isinstance(packet, Nack) and packet.media_ssrc in by_ssrc:
                by_ssrc[packet.media_ssrc].retransmit(packet)
            elif isinstance(packet, PictureLoss) and packet.media_ssrc in by_ssrc:
                by_ssrc[packet.media_ssrc].picture_loss(packet)

    def _on_subscribe_packet(self, received: Received, now: int) -> None:
        if received.rtcp:
            self.receiver.receive_rtcp(_parsed(received.data), now)
        else:
            self.receiver.receive_rtp(received.data, now)

    def _on_data(self, came: list[DataItem]) -> None:
        for entry in came:
            message = parse_data(entry.data)
            _keep(self.heard, (message, entry.reliable))
            for feed in self._data_feeds:
                feed.put(DataReceived(message.names[0], message.topic, message.payload, entry.reliable))

    def _on_frame(self, stream: ReceivedStream, frame: Frame) -> None:
        track = self.state.slots.get(stream.mid)
        if track is None or stream.codec is None:
            return
        for feed in self._listeners.get(track, ()):
            feed.put(EncodedFrame(stream.codec, frame.data, frame.timestamp, frame.keyframe, frame.intact))

    def request_keyframe(self, track: str) -> None:
        """Ask for a keyframe of a remote video track, so that decoding can begin."""
        for mid, carried in self.state.slots.items():
            if carried == track and mid in self.receiver.streams and self._subscribe:
                self._subscribe.send(self.receiver.picture_loss(mid))

    async def _give_feedback(self) -> None:
        next_report = time.monotonic()
        while True:
            await asyncio.sleep(_FEEDBACK_SECONDS)
            now = time.monotonic_ns()
            feedback = self.receiver.feedback(now)
            if feedback and self._subscribe:
                self._subscribe.send(feedback)
            if time.monotonic() < next_report:
                continue
            next_report = time.monotonic() + _REPORT_SECONDS
            reports = self.receiver.reports(now)
            if reports and self._subscribe:
                self._subscribe.send(reports)
            for publication in self.publications:
                report = publication.sender_report()
                if report:
                    self._send_media(report)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _codec(codec: Codec | str) -> Codec:
    found = codec if isinstance(codec, Codec) else Codec.__members__.get(codec.upper())
    if found not in ALL_CODECS:
        raise ValueError(f"{codec!r} is not a codec that can be published")
    return found


def _note(state: RoomState, message: signaling.ServerMessage) -> None:
    """Update the state from a message that needs no reply."""
    match message:
        case signaling.ParticipantJoined() | signaling.ParticipantUpdated():
            state.participants[message.participant.participant] = message.participant
        case signaling.ParticipantLeft():
            state.participants.pop(message.participant, None)
        case signaling.TrackPublished():
            state.tracks[message.track.track] = message.track
        case signaling.TrackUnpublished():
            state.tracks.pop(message.track, None)
        case signaling.TrackMuted() if message.track in state.tracks:
            state.tracks[message.track] = msgspec.structs.replace(state.tracks[message.track], muted=message.muted)
        case signaling.Slots():
            state.slots = {slot.mid: slot.track for slot in message.slots}
        case signaling.RecordingChanged():
            state.recording = message.state
        case signaling.Caption():
            _keep(state.captions, message)
        case signaling.Chat():
            _keep(state.chats, message)
        case signaling.Error():
            _keep(state.errors, message)
        case _:
            _note_of_rooms(state, message)


def _note_of_rooms(state: RoomState, message: signaling.ServerMessage) -> None:
    """Handle messages about the meeting's other rooms; ignore the rest."""
    if isinstance(message, signaling.Move):
        state.moved = message
    elif isinstance(message, signaling.Announced) and message not in state.announcements:
        _keep(state.announcements, message)


def _keep(entries: list[_Entry], entry: _Entry) -> None:
    """Append an entry; drop the oldest if there are too many."""
    entries.append(entry)
    del entries[:-_HEARD]


def _parsed(data: bytes) -> list[Packet]:
    try:
        return parse_rtcp(data)
    except ValueError:
        return []
