"""A plain transport that receives declared tracks, distinguished by payload type, from permitted senders.

Without a given address, the first to send becomes the sender ("comedia"). With SRTP, anyone who has the key may send,
from any address. Without SRTP, each track is bound to the address that it first came from. Once all tracks have
arrived, nobody else is accepted until a track has been silent for five seconds; that track may then come from another
port. A restarted sender has a new SSRC, which replaces the old one.
"""

from collections.abc import Sequence

from sfu.api.plain_transport import PlainTrack
from sfu.engine.contract import Address, Drop, Leftover, LeftoverKind
from sfu.formats import rtcp, telephony
from sfu.formats.codecs import Codec
from sfu.formats.rtp import parse_header
from sfu.formats.sdp import Direction, FormatParameters
from sfu.machines.ice.lite import Refusal
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.peers.context import Context, random_id
from sfu.peers.plain_peer import PlainAddress, PlainPeer
from sfu.peers.publish.converted_track import Convert, ConvertedTrack
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.resizer import Resizer
from sfu.peers.publish.uptrack import CODEC_NAMES, UpTrack

CODECS = {name: codec for codec, name in CODEC_NAMES.items()}
CLOCK_RATES = {Codec.OPUS: 48_000} | dict.fromkeys(telephony.PAYLOAD_TYPES, telephony.CLOCK_RATE)
VIDEO_CLOCK_RATE = 90_000
_SILENCE_NS = 5_000_000_000


class PlainPublishPeer(PublishPeer):
    """`transport` is its id; our sockets are `local` and, if RTCP has a separate one, `rtcp_local`.

    `end` is our address, port and RTCP port as the sender knows them. `received` holds the incoming tracks by mid; if
    one is converted, `uptracks` holds the converted track instead.
    """

    peer: PlainPeer

    def __init__(self, context: Context, participant: str, peer: PlainPeer, sockets: tuple[int, int], now: int) -> None:
        super().__init__(context, participant, peer, now)
        self.transport = random_id("x")
        self.end = ("", 0, 0)
        self.local, self.rtcp_local = sockets
        self.received: dict[str, UpTrack] = {}
        self._conversions: dict[str, ConvertedTrack] = {}
        self._expected: dict[str, int | None] = {}
        self._sender_given = False
        self._sources: dict[str, Address] = {}  # by track that has arrived and has not been silent since
        self._listens = self._knows_rtcp = False
        self._resizer: Resizer | None = None
        self._next_look = now + _SILENCE_NS

    def listen(self, sender: Address | None) -> None:
        """Take packets from `sender` if given, else from anyone; separate RTCP comes from the sender's next port.

        Raises ValueError if another transport of this socket has that sender.
        """
        if sender is not None:
            self._sender_given = True
            self.peer.set_address(PlainAddress(sender, self._rtcp_of(sender), self.local, self.rtcp_local))
        else:
            self._listen_to_anyone()

    def _listen_to_anyone(self) -> None:
        self._listens = True
        for local in {self.local, self.rtcp_local}:
            self._context.engine.admit_any(self.peer.number, local)

    def declare(self, tracks: Sequence[PlainTrack], convert: Convert, now: int) -> tuple[UpTrack, ...]:
        """Return the uptracks for these tracks, in order; `convert` starts the conversion of telephone codecs."""
        media = [_media(index, track) for index, track in enumerate(tracks)]
        for track, section in zip(tracks, media, strict=True):
            uptrack = self.received[section.mid] = UpTrack(random_id("t"), self.participant, track.source, section)
            self._expected[uptrack.track] = track.ssrc
            if uptrack.codec in telephony.PAYLOAD_TYPES:
                conversion = self._conversions[section.mid] = convert(uptrack, Codec.OPUS, now)
                uptrack = conversion.uptrack
            self.uptracks[section.mid] = uptrack
        self._registry.set_media(media, self.received)
        self._cut_large_packets(tracks)
        return tuple(self.uptracks.values())

    def _cut_large_packets(self, tracks: Sequence[PlainTrack]) -> None:
        """Have video packets cut before the engine takes them. This works without SRTP only: just the engine has the
        keys.
        """
        video = [track for track in tracks if not CODECS[track.codec].is_audio]
        if self.peer.is_protected or not video:
            return
        self._resizer = Resizer(
            {track.payload_type: CODECS[track.codec] for track in video},
            {track.rtx_payload_type: track.payload_type for track in video if track.rtx_payload_type is not None},
            self._context.counters,
            self._context.drops,
        )
        self._context.resizers[self.local] = self._resizer

    def _due_feedback(self, now: int) -> list[rtcp.Packet]:
        """Return a publish peer's usual feedback, with the sender's own sequence numbers."""
        packets = super()._due_feedback(now)
        resizer = self._resizer
        return packets if resizer is None else [resizer.to_sender(packet) for packet in packets]

    def forget(self, uptrack: UpTrack) -> None:
        """Drop an uptrack, and its source if it is a converted one."""
        for mid, received in list(self.received.items()):
            if self.uptracks.get(mid) is uptrack:
                if mid in self._conversions:
                    self._conversions.pop(mid).end()
                self._registry.forget(received)
                del self.received[mid], self.uptracks[mid]

    def unknown_ssrc(self, leftover: Leftover) -> IngressStream | None:
        """Register the stream of a packet by its payload type, in place of an earlier one."""
        try:
            header = parse_header(leftover.data)
        except ValueError:
            self._context.drops[Drop.MALFORMED] += 1
            return None
        uptrack = next((up for up in self.received.values() if header.payload_type in up.media.payloads), None)
        if uptrack is None or (
            uptrack.payload_type == header.payload_type
            and not (self._may_come(uptrack, leftover.source) and self._replace(uptrack, header.ssrc))
        ):
            self._context.drops[Drop.UNKNOWN_SSRC] += 1
            return None
        stream = super().unknown_ssrc(leftover)
        if stream is not None:
            self._heard(uptrack, leftover.source)
        return stream

    def _may_come(self, uptrack: UpTrack, source: Address) -> bool:
        """Return True if a track may begin from this address: not while it arrives from another."""
        return self._sources.get(uptrack.track, source) == source

    def _replace(self, uptrack: UpTrack, ssrc: int) -> bool:
        """Make room for an SSRC; return whether it is accepted."""
        expected = self._expected.get(uptrack.track)
        if expected is not None and ssrc != expected:
            return False
        if self._registry.by_ssrc(ssrc) is None:
            for stream in uptrack.streams:
                for watcher in uptrack.watchers:
                    watcher.stream_gone(stream.number)
            self._registry.forget(uptrack)
        return True

    def _heard(self, uptrack: UpTrack, source: Address) -> None:
        """Note that a stream has begun from this address."""
        if self._sender_given:
            return
        if not self._knows_rtcp:  # until RTCP reveals its own address
            self._knows_rtcp = True
            self.peer.report_to(self._rtcp_of(source), self.rtcp_local)
        if self.peer.is_protected:
            return
        engine = self._context.engine
        self._sources[uptrack.track] = source
        engine.admit_source(self.peer.number, source, self.local)
        engine.admit_source(self.peer.number, self._rtcp_of(source), self.rtcp_local)
        if len(self._sources) == len(self.received):
            self._listens = False
            for local in {self.local, self.rtcp_local}:
                engine.dismiss_any(local)

    def _forget_source(self, uptrack: UpTrack) -> None:
        """Let a track come from anywhere again."""
        source = self._sources.pop(uptrack.track)
        self._knows_rtcp = bool(self._sources)
        if source not in self._sources.values():
            engine = self._context.engine
            engine.dismiss_source(source, self.local)
            engine.dismiss_source(self._rtcp_of(source), self.rtcp_local)

    def _rtcp_of(self, sender: Address) -> Address:
        return sender if self.local == self.rtcp_local else (sender[0], sender[1] + 1)

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Take RTCP; reports go back to its source."""
        if leftover.kind == LeftoverKind.RTCP and not self._sender_given:
            self._knows_rtcp = True
            self.peer.report_to(leftover.source, leftover.local)
        return super().receive(leftover, now)

    def timer(self) -> int | None:
        at = super().timer()
        return at if self.peer.closed or at is None else min(at, self._next_look)

    def handle_timer(self, now: int) -> None:
        """Do what every publish peer does, and accept any sender again once a track has been silent."""
        super().handle_timer(now)
        if now < self._next_look or self.peer.closed:
            return
        self._next_look = now + _SILENCE_NS
        for uptrack in self.received.values():
            newest = max((stream.last_arrival for stream in uptrack.streams), default=0)
            if uptrack.track in self._sources and now - newest >= _SILENCE_NS:
                self._forget_source(uptrack)
                if not self._listens:
                    self._listen_to_anyone()


def _media(index: int, track: PlainTrack) -> NegotiatedMedia:
    codec = CODECS[track.codec]
    clock_rate = CLOCK_RATES.get(codec, VIDEO_CLOCK_RATE)
    feedback = frozenset() if codec.is_audio else frozenset({"nack", "nack pli"})
    parameters = FormatParameters(track.payload_type, track.fmtp).values
    channels = 2 if codec is Codec.OPUS else 1
    payloads = {
        track.payload_type: NegotiatedPayload(
            codec, clock_rate, channels=channels, parameters=parameters, feedback=feedback
        )
    }
    if track.rtx_payload_type is not None:
        payloads[track.rtx_payload_type] = NegotiatedPayload(Codec.RTX, clock_rate, repairs=track.payload_type)
    kind = "audio" if codec.is_audio else "video"
    return NegotiatedMedia(index, str(index), kind, Direction.RECVONLY, payloads=payloads)
