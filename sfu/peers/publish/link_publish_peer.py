"""Tracks that a room gets from another of its nodes, as described by that node, over one SRTP association."""

from collections.abc import Mapping, Sequence

from sfu.api.cascade_link import LinkTrack
from sfu.engine.contract import Drop, Leftover, PeerEntry
from sfu.formats.codecs import Codec
from sfu.formats.sdp import Direction
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.peers.context import Context
from sfu.peers.layers.layer_options import Layer
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.link_subscribe_peer import EXTENSIONS

_MAX_STREAMS = 2000
_FEEDBACK = frozenset({"nack", "nack pli"})


class LinkPublishPeer(PublishPeer):
    """`uptracks` maps track ids, which are the same on both nodes, to uptracks, which name their owners."""

    peer: PlainPeer

    def __init__(self, context: Context, peer: PlainPeer, local: int, now: int) -> None:
        super().__init__(context, "", peer, now, max_streams=_MAX_STREAMS)
        received = {number: extension for extension, number in EXTENSIONS.items()}
        context.engine.set_peer(PeerEntry(peer.number, receive_extensions=received))
        context.engine.admit_any(peer.number, local)

    def unknown_ssrc(self, leftover: Leftover) -> IngressStream | None:
        """Drop the packet: streams are announced beforehand, and this one has not been."""
        self._context.drops[Drop.UNKNOWN_SSRC] += 1
        return None

    def add(self, described: LinkTrack) -> UpTrack:
        """Create and return the uptrack of a new track."""
        info = described.info
        uptrack = UpTrack(info.track, info.participant, info.source, _media(described))
        uptrack.layers, uptrack.backup_of = Layer(*described.layers), described.backup_of
        self.uptracks[info.track] = uptrack
        self.set_streams(uptrack, described)
        return uptrack

    def told_costs(self, costs: Mapping[int, int]) -> None:
        """Take the costs of streams, by SSRC, as measured at their origin."""
        for stream in self.streams.values():
            stream.told_cost = float(costs.get(stream.ssrc, stream.told_cost))

    def set_streams(self, uptrack: UpTrack, described: LinkTrack) -> bool:
        """Register a track's new streams and remove those that ended; return whether there were any."""
        wanted = {stream.ssrc: stream for stream in described.streams}
        gone = [stream for stream in uptrack.streams if stream.ssrc not in wanted]
        for stream in gone:
            for watcher in uptrack.watchers:
                watcher.stream_gone(stream.number)
            self._registry.remove(uptrack, stream)
        known = {stream.ssrc for stream in uptrack.streams}
        fresh = [offered for ssrc, offered in wanted.items() if ssrc not in known]
        for offered in fresh:
            self._registry.register(uptrack, offered.ssrc, offered.rid, offered.rtx_ssrc)
        for stream in uptrack.streams:
            stream.pixels, stream.lines = wanted[stream.ssrc].pixels, wanted[stream.ssrc].lines
        return bool(gone or fresh)


def _media(described: LinkTrack) -> NegotiatedMedia:
    payloads = {
        number: NegotiatedPayload(
            Codec[payload.codec],
            payload.clock_rate,
            repairs=payload.repairs,
            channels=payload.channels,
            parameters=payload.parameters,
            feedback=_FEEDBACK,
        )
        for number, payload in described.payloads.items()
    }
    info = described.info
    return NegotiatedMedia(0, info.track, info.media, Direction.RECVONLY, payloads=payloads)


def check(tracks: Sequence[LinkTrack]) -> None:
    """Raise ValueError for descriptions that this version cannot use."""
    for track in tracks:
        for payload in track.payloads.values():
            if payload.codec not in Codec.__members__:
                raise ValueError(f"unknown codec {payload.codec!r}")
