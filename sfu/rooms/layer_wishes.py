"""Wishes for the layers of a published video by subscribers, sinks and other nodes, and our requests to those nodes."""

from collections.abc import Mapping

from sfu.machines.layers.demand import StreamDemand
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.layers.layer_options import ALL_LAYERS, Layer, share_of
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms.room import Room
from sfu.rooms.taps import RoomTaps

_BASE = Layer(0, 0)


def wanted_of(room: Room, taps: RoomTaps, uptrack: UpTrack) -> dict[IngressStream, Layer]:
    """Return the streams of a track that anybody wants, each with its highest layer. Sinks take all layers that
    flow.
    """
    wanted: dict[IngressStream, Layer] = {}
    if taps.has(uptrack) or not all(shown.managed for shown in uptrack.watchers):
        return dict.fromkeys(uptrack.streams, ALL_LAYERS)
    for stream, layer in {(shown.granted, shown.layer) for shown in uptrack.watchers}:
        if stream is not None:
            _add(wanted, stream, layer)
    for link in room.links.values():
        for crossing, layer in link.wanted(uptrack).items():
            _add(wanted, crossing, layer)
    return wanted


def _add(wanted: dict[IngressStream, Layer], stream: IngressStream, layer: Layer) -> None:
    known = wanted.get(stream, layer)
    wanted[stream] = Layer(max(known.spatial, layer.spatial), max(known.temporal, layer.temporal))


class LinkDemand:
    """The layers that a link requests of the other side's videos, by SSRC. No layer flows until it is requested."""

    def __init__(self) -> None:
        self._demands: dict[int, StreamDemand] = {}
        self._said: dict[int, Layer | None] = {}
        self._news: dict[int, tuple[int, int] | None] = {}

    def update(self, uptrack: UpTrack, ladder: LayerLadder, wanted: Mapping[IngressStream, Layer], now: int) -> None:
        """Take the layers of a track that are wanted now."""
        active = ladder.active(wanted, now, idle=True)
        for stream in uptrack.streams:
            demand = self._demands.get(stream.ssrc)
            if demand is None:
                demand = self._demands[stream.ssrc] = StreamDemand(*uptrack.layers, now)
            kept = demand.update(wanted.get(stream), now)
            asked = _layer(kept or _BASE, uptrack.layers)
            self._ask(uptrack, stream, asked if stream in active else None)

    def _ask(self, uptrack: UpTrack, stream: IngressStream, asked: Layer | None) -> None:
        if self._said.get(stream.ssrc) == asked:
            return
        self._said[stream.ssrc] = self._news[stream.ssrc] = asked
        stream.share = share_of(uptrack.layers, asked) if asked is not None else 1.0

    def forget(self, uptrack: UpTrack) -> None:
        """Remove a track that has ended."""
        for stream in uptrack.streams:
            for kept in (self._demands, self._said, self._news):
                kept.pop(stream.ssrc, None)

    def take(self) -> dict[int, tuple[int, int] | None]:
        """Return the changes since the last call."""
        news, self._news = self._news, {}
        return news


def _layer(highest: tuple[int, int], layers: Layer) -> Layer:
    """Return the layer number to send; the top layer is sent as "all"."""
    spatial, temporal = (
        top if top < count - 1 else whole for top, count, whole in zip(highest, layers, ALL_LAYERS, strict=True)
    )
    return Layer(spatial, temporal)
