"""Tracks that a room sends to another of its nodes: every stream once, up to the layers that the node wishes for.

Timestamps and payload types are unchanged, so that the other side can align layers. Nothing is chosen here: the other
side chooses for its subscribers, and says which layers none of them gets.
"""

from collections.abc import Iterable, Mapping

import msgspec

from sfu.api.cascade_link import LinkPayload, LinkStream, LinkTrack
from sfu.engine.contract import PeerEntry, RouteEntry, RouteSource
from sfu.formats import rtcp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.peers.context import Context, random_ssrc
from sfu.peers.layers.layer_options import ALL_LAYERS, Layer
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.ingress_stream import REACH_NS, IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.nack_responder import retransmission_interval
from sfu.peers.subscribe.subscribe_peer import SubscribePeer

EXTENSIONS = {
    Extension.AUDIO_LEVEL: 1,
    Extension.ABS_CAPTURE_TIME: 2,
    Extension.PLAYOUT_DELAY: 3,
    Extension.DEPENDENCY_DESCRIPTOR: 4,
}
"""The ids of header extensions between nodes."""
_FIRST_DYNAMIC, _LAST_DYNAMIC = 96, 127
_CNAME = "link"
_MUCH = 1.4


class _LinkRoute:
    """One stream's route to the other node. `layer` is the highest that it carries, None while it rests."""

    def __init__(self, context: Context, peer: int, publisher: PublishPeer, uptrack: UpTrack, stream: IngressStream):
        self.publisher = publisher
        self.stream = stream
        self.route = context.number()
        self.layer: Layer | None = None
        self.told_cost = 0.0
        self._engine = context.engine
        repaired = not uptrack.is_audio
        self.described = LinkStream(ssrc=random_ssrc(), rtx_ssrc=random_ssrc() if repaired else None, rid=stream.rid)
        payloads = _payloads(uptrack)
        entry = RouteEntry(
            self.route,
            peer,
            self.described.ssrc,
            {number: number for number, payload in payloads.items() if payload.repairs is None},
            1,
            rtx_ssrc=self.described.rtx_ssrc,
            rtx_payload_types={
                payload.repairs: number for number, payload in payloads.items() if payload.repairs is not None
            },
            is_audio=uptrack.is_audio,
        )
        context.engine.set_route(entry)

    def describe(self) -> None:
        """Follow changes of the stream's picture size."""
        size = (self.stream.pixels, self.stream.lines)
        if size != (self.described.pixels, self.described.lines):
            self.described = msgspec.structs.replace(self.described, pixels=size[0], lines=size[1])

    def carry(self, layer: Layer) -> bool:
        """Carry the stream from its newest keyframe on, if that can still be sent, and return True; else from the next
        frame of any type: the other side only chooses streams that flow.
        """
        self.layer = layer
        source = RouteSource(
            self.stream.number,
            0,
            at_keyframe=False,
            max_temporal=layer.temporal,
            max_spatial=layer.spatial,
            reach=REACH_NS,
        )
        return self._engine.switch_route(self.route, source)

    def allow(self, layer: Layer | None, now: int) -> bool:
        """Carry the stream up to a layer, or not at all; return True if the publisher was asked for a keyframe."""
        before = self.layer
        if layer is None:
            self.layer = None
            self._engine.switch_route(self.route, None)
            return False
        has_keyframe = self.carry(layer) and self.stream.flows(now)
        if (before is None or layer.spatial > before.spatial) and self.stream.active(now) and not has_keyframe:
            self.stream.request_keyframe(now)
            return True
        return False


class LinkSubscribePeer(SubscribePeer):
    """Routes by stream and by SSRC."""

    def __init__(self, context: Context, peer: PlainPeer, now: int, *, wished: bool) -> None:
        """`wished`: the other side sends wishes for layers, and a video rests until then."""
        super().__init__(context, now, peer)
        self._wished = wished
        self._routes: dict[int, _LinkRoute] = {}
        self._routes_by_ssrc: dict[int, _LinkRoute] = {}
        context.engine.set_peer(PeerEntry(peer.number, send_extensions=EXTENSIONS))

    def send(self, tracks: Iterable[tuple[UpTrack, PublishPeer]]) -> list[LinkTrack]:
        """Send these tracks and no others; returns their descriptions."""
        wanted = [(uptrack, publisher, stream) for uptrack, publisher in tracks for stream in uptrack.streams]
        for number in self._routes.keys() - {stream.number for _, _, stream in wanted}:
            gone = self._routes.pop(number)
            del self._routes_by_ssrc[gone.described.ssrc]
            self._context.engine.remove_route(gone.route)
        described: dict[str, LinkTrack] = {}
        for uptrack, publisher, stream in wanted:
            route = self._routes.get(stream.number)
            if route is None:
                route = _LinkRoute(self._context, self.peer.number, publisher, uptrack, stream)
                if uptrack.is_audio or not self._wished:
                    route.carry(ALL_LAYERS)
                self._routes[stream.number] = self._routes_by_ssrc[route.described.ssrc] = route
            route.describe()
            track = described.setdefault(uptrack.track, _describe(uptrack))
            track.streams.append(route.described)
        return list(described.values())

    def wish(self, streams: Mapping[int, tuple[int, int] | None], now: int) -> None:
        """Carry streams, by their SSRCs here, up to these spatial and temporal layers, or not at all."""
        for ssrc, layers in streams.items():
            route = self._routes_by_ssrc.get(ssrc)
            layer = Layer(*layers) if layers is not None else None
            if route is not None and route.layer != layer and route.allow(layer, now):
                self._context.touched.add(route.publisher.peer.number)

    def wanted(self, uptrack: UpTrack) -> dict[IngressStream, Layer]:
        """Return the streams of an uptrack that the other side wants, each with its highest layer."""
        routes = [self._routes[stream.number] for stream in uptrack.streams if stream.number in self._routes]
        return {route.stream: route.layer for route in routes if route.layer is not None}

    def costs(self) -> dict[int, int]:
        """Return the costs, by SSRC, that are new or have changed much since they were last sent."""
        news: dict[int, int] = {}
        for ssrc, route in self._routes_by_ssrc.items():
            cost, told = route.stream.cost, route.told_cost
            if cost and not told / _MUCH <= cost <= told * _MUCH:
                route.told_cost = cost
                news[ssrc] = int(cost)
        return news

    def totals(self) -> tuple[int, int, int, int]:
        """Return the numbers of packets sent, packets sent again, streams sent, and streams that rest."""
        states = [self._context.engine.route_state(route.route) for route in self._routes.values()]
        resting = sum(route.layer is None for route in self._routes.values())
        packets, repaired = sum(state.packets for state in states), sum(state.retransmitted for state in states)
        return packets, repaired, len(states) - resting, resting

    def _nack(self, packet: rtcp.Nack, now: int) -> None:
        if packet.media_ssrc in self._routes_by_ssrc:
            self._context.counters["nacks_received"] += len(packet.seqs)
            interval = retransmission_interval(self.round_trip.smoothed)
            repairs = self._context.engine.retransmit(self.peer.number, packet.media_ssrc, packet.seqs, now, interval)
            self._context.outbox.send(repairs)

    def _keyframe(self, ssrc: int, now: int) -> None:
        route = self._routes_by_ssrc.get(ssrc)
        if route is not None and route.layer is not None:
            self._context.counters["plis_received"] += 1
            route.stream.request_keyframe(now)
            self._context.touched.add(route.publisher.peer.number)

    def _carries(self) -> bool:
        return bool(self._routes)

    def _send_reports(self, now: int) -> bool:
        for route in self._routes.values():
            state = self._context.engine.route_state(route.route)
            if state.packets == 0:
                continue
            report = route.stream.clock.report(
                route.described.ssrc, state.timestamp_offset, state.packets, state.octets, now
            )
            if report is None:
                continue
            report = rtcp.SenderReport(
                report.ssrc,
                route.publisher.clock.to_own(report.ntp),
                report.rtp_timestamp,
                report.packets,
                report.octets,
            )
            self.round_trip.sent(report.ntp, now)
            names = rtcp.SourceDescription(((report.ssrc, _CNAME),))
            self._context.outbox.send(self.peer.protect_rtcp(rtcp.serialize([report, names])))
        return True  # the other side's subscribers need these for their own reports, and one may have just joined


def _describe(uptrack: UpTrack) -> LinkTrack:
    return LinkTrack(
        info=uptrack.info(),
        payloads=_payloads(uptrack),
        streams=[],
        muted_by_host=uptrack.muted_by_host,
        layers=uptrack.layers,
        backup_of=uptrack.backup_of,
    )


def _payloads(uptrack: UpTrack) -> dict[int, LinkPayload]:
    """Return a track's payload types without RED, and with RTX for video payload types that lack it at the
    publisher.
    """
    known = {number: payload for number, payload in uptrack.media.payloads.items() if payload.codec is not Codec.RED}
    payloads = {
        number: LinkPayload(
            codec=payload.codec.name,
            clock_rate=payload.clock_rate,
            repairs=payload.repairs,
            channels=payload.channels,
            parameters=dict(payload.parameters),
        )
        for number, payload in known.items()
    }
    repaired = {payload.repairs for payload in known.values()}
    free = (number for number in range(_LAST_DYNAMIC, _FIRST_DYNAMIC - 1, -1) if number not in known)
    for number, payload in known.items():
        if not payload.codec.is_audio and payload.codec is not Codec.RTX and number not in repaired:
            extra = next(free, None)
            if extra is not None:
                payloads[extra] = LinkPayload(codec=Codec.RTX.name, clock_rate=payload.clock_rate, repairs=number)
    return payloads
