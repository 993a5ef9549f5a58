"""A track that the transcoder converts: its source, and the resulting uptrack.

The engine copies the source's packets to the transcoder as to a sink. Converted packets come from a peer of their own.
"""

from collections.abc import Callable

from sfu.engine.contract import Leftover
from sfu.formats import telephony
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.sdp import Direction
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.peers.context import Context
from sfu.peers.layers.layer_choice import choose_layer
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.inner_peer import InnerPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.transcoding.records import LEVEL_ID, Begin

_MID = "0"
_OPUS_TYPE = 111


class ConvertedTrack:
    """`number` is the track's id at the transcoder; `stream` is the copied stream of the source."""

    def __init__(
        self, context: Context, source: UpTrack, codec: Codec, end: "Callable[[ConvertedTrack], None]", now: int
    ) -> None:
        self.number = context.number()
        self.source = source
        self.codec = codec
        self.peer = InnerPeer(context, UpTrack(source.track, source.participant, source.source, _media(codec)), now)
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
        return self.peer.leftover(rtp, now)

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
