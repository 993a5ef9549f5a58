"""A track that a participant publishes, its streams, and its watchers."""

from typing import NamedTuple, Protocol

from sfu.api.join_token import Source
from sfu.api.signaling_values import TrackInfo
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.machines.repair.timeline import Timeline
from sfu.peers.layers.layer_options import ONE_LAYER, Layer
from sfu.peers.publish.ingress_stream import IngressStream

CODEC_NAMES = {
    Codec.OPUS: "opus",
    Codec.VP8: "VP8",
    Codec.VP9: "VP9",
    Codec.H264: "H264",
    Codec.AV1: "AV1",
    Codec.G711_ULAW: "PCMU",
    Codec.G711_ALAW: "PCMA",
    Codec.G722: "G722",
}
CODECS_BY_NAME = {name: codec for codec, name in CODEC_NAMES.items()}


class Watcher(Protocol):
    """A downtrack as its uptrack sees it. If `managed`, it waits to be `granted` a stream, up to `layer`."""

    managed: bool
    granted: IngressStream | None
    layer: Layer

    def choose(self, now: int) -> None:
        """Choose, or choose again, the stream to carry."""

    def stream_gone(self, number: int) -> None:
        """Forget a stream that left the engine's table."""


class About(NamedTuple):
    """Further facts that a publisher declares about its track: name, picture size, end-to-end encryption."""

    name: str = ""
    width: int = 0
    height: int = 0
    sealed: bool = False


class UpTrack:
    """A published track. `muted` is set by its publisher, `muted_by_host` by a host; `permitted` follows the grants.
    A track is `hushed` while an application has muted it in its publisher's place, and `too_slow` while its publisher
    has muted it because its network is too slow.

    `backup` carries the same content in another codec, for those who cannot decode this one. It is not announced
    itself; its `backup_of` is this track's id. `layers` counts the distinguishable layers of each stream.
    `tells_levels` is set if packets carry audio levels (RFC 6464).
    """

    def __init__(self, track: str, participant: str, source: Source, media: NegotiatedMedia) -> None:
        self.track = track
        self.participant = participant
        self.source = source
        self.media = media
        self.payload_type, self.payload = main_payload(media)
        self.streams: list[IngressStream] = []
        self.timeline = Timeline()
        self.watchers: set[Watcher] = set()
        self.muted = False
        self.muted_by_host = False
        self.hushed = False
        self.too_slow = False
        self.permitted = True
        self.backup: UpTrack | None = None
        self.backup_of = ""
        self.about = About()
        self.told_watched = False
        self.layers = ONE_LAYER
        self.tells_levels = Extension.AUDIO_LEVEL in media.extensions.values()

    @property
    def shown_as(self) -> str:
        """The id by which participants know the track."""
        return self.backup_of or self.track

    @property
    def codec(self) -> Codec:
        return self.payload.codec

    @property
    def is_audio(self) -> bool:
        return self.media.kind == "audio"

    @property
    def is_quiet(self) -> bool:
        """True if its publisher or a host has muted it."""
        return self.muted or self.muted_by_host

    @property
    def passes(self) -> bool:
        """True if the engine may forward its packets."""
        return self.permitted and not self.muted_by_host and not self.hushed

    @property
    def fmtp(self) -> str:
        return ";".join(f"{key}={value}" if value else key for key, value in self.payload.parameters.items())

    def info(self) -> TrackInfo:
        return TrackInfo(
            track=self.track,
            participant=self.participant,
            source=self.source,
            media="audio" if self.is_audio else "video",
            codec=CODEC_NAMES[self.codec],
            muted=self.is_quiet,
            name=self.about.name,
            width=self.about.width,
            height=self.about.height,
            sealed=self.about.sealed,
            simulcast=len(self.media.rids) > 1,
        )


def main_payload(media: NegotiatedMedia) -> tuple[int, NegotiatedPayload]:
    """Return the payload type that the publisher sends: the first in the answer that is neither RTX nor RED.

    Raises ValueError if the section has none.
    """
    for number, payload in media.payloads.items():
        if payload.codec in CODEC_NAMES:
            return number, payload
    raise ValueError(f"m-section {media.mid} has no codec that can be forwarded")
