"""A track that the transcoder converts: its source, and the resulting uptrack.

The engine copies the source's packets to the transcoder as to a sink. Converted packets go through the engine as if
from a separate peer without a far end: nothing is reported to it or requested from it.
"""

from collections.abc import Callable

from sfu.engine.contract import Leftover, LeftoverKind, PeerEntry
from sfu.formats import telephony
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.sdp import Direction
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.peers.context import Context, random_ssrc
from sfu.peers.layers.layer_choice import choose_layer
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.transcoding.records import LEVEL_ID, Begin

_MID = "0"
_OPUS_TYPE = 111
_NOWHERE = ("", 0)


class ConvertedPeer(PublishPeer):
    """The peer of a converted track. It has no far end, so it has nothing to send."""

    def __init__(self, context: Context, source: UpTrack, codec: Codec, now: int) -> None:
        super().__init__(context, source.participant, PlainPeer(context, None), now)
        media = _media(codec)
        context.engine.set_peer(PeerEntry(self.peer.number, receive_extensions=media.extensions))
        self.uptrack = self.uptracks[_MID] = UpTrack(source.track, source.participant, source.source, media)

    def begin_stream(self, now: int) -> int:
        """Expect a new stream in place of the previous one; return its SSRC."""
        for stream in self.uptrack.streams:
            for watcher in self.uptrack.watchers:
                watcher.stream_gone(stream.number)
        self._registry.forget(self.uptrack)
        ssrc = random_ssrc()
        self._registry.register(self.uptrack, ssrc, "", None)
        for watcher in self.uptrack.watchers:
            watcher.choose(now)
        return ssrc

    def timer(self) -> int | None:
        return None

    def handle_timer(self, now: int) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Leave the engine's table."""
        self._registry.forget(self.uptrack)
        self._context.engine.remove_peer(self.peer.number)


class ConvertedTrack:
    """`number` is the track's id at the transcoder; `stream` is the copied stream of the source."""

    def __init__(
        self, context: Context, source: UpTrack, codec: Codec, end: "Callable[[ConvertedTrack], None]", now: int
    ) -> None:
        self.number = context.number()
        self.source = source
        self.codec = codec
        self.peer = ConvertedPeer(context, source, codec, now)
        self.stream: IngressStream | None = None
        self._end = end

    @property
    def uptrack(self) -> UpTrack:
        """The resulting uptrack."""
        return self.peer.uptrack

    def begin(self, now: int) -> Begin:
        """Start or restart the conversion; return the record for the transcoder."""
        source, target = self.source, self.uptrack
        return Begin(
            conversion=self.number,
            source=source.codec,
            target=self.codec,
            source_type=source.payload_type,
            target_type=target.payload_type,
            ssrc=self.peer.begin_stream(now),
        )

    def flowing(self, now: int) -> IngressStream | None:
        """Return the stream of the source to copy."""
        return choose_layer(self.source.streams, self.stream, now)

    def leftover(self, rtp: bytes, now: int) -> Leftover:
        """Return a packet from the transcoder in the engine's form."""
        return Leftover(LeftoverKind.UNKNOWN_SSRC, self.peer.peer.number, rtp, _NOWHERE, 0, now)

    def end(self) -> None:
        """Stop converting."""
        self._end(self)


Convert = Callable[[UpTrack, Codec, int], ConvertedTrack]
"""Starts the conversion of an uptrack at the given time."""


def _media(codec: Codec) -> NegotiatedMedia:
    if codec is Codec.OPUS:
        payloads = {_OPUS_TYPE: NegotiatedPayload(codec, 48_000, channels=2)}
        extensions = {LEVEL_ID: Extension.AUDIO_LEVEL}
        return NegotiatedMedia(0, _MID, "audio", Direction.RECVONLY, payloads=payloads, extensions=extensions)
    payloads = {telephony.PAYLOAD_TYPES[codec]: NegotiatedPayload(codec, telephony.CLOCK_RATE)}
    return NegotiatedMedia(0, _MID, "audio", Direction.RECVONLY, payloads=payloads)
