"""A run of one stream's packets to all of its routes: what is carried, what is closed up, and under which numbers."""

from collections.abc import Sequence

from sfu.engine.contract import Drop, Outgoing, Switch
from sfu.engine.egress import send_time
from sfu.engine.ingress import Ingress
from sfu.engine.layout import pack_stamped
from sfu.engine.pacer import Numbered, Pacer
from sfu.engine.packet import Packet
from sfu.engine.route import STAMPS, Route
from sfu.engine.sequence_map import MAX_GAP, Segment
from sfu.engine.tally import Tally
from sfu.machines.send_history import SentKind, SentPacket

_MASK32 = 0xFFFFFFFF
_NO_LIMIT = 255
_OVERHEAD = 100  # of a packet: more than its header, extensions and tag


class Forwarder:
    """Appends to `outgoing` and `switches`, which the engine hands out."""

    def __init__(self, tally: Tally, now: int, outgoing: list[Outgoing], switches: list[Switch]) -> None:
        self._tally = tally
        self._now = now
        self._outgoing = outgoing
        self._switches = switches

    def forward(self, ingress: Ingress, packets: Sequence[Packet]) -> None:
        """Forward packets that have just been put into the stream's cache, in the order of their arrival."""
        is_plain = _is_plain(packets)
        for route in tuple(ingress.routes):
            if not (is_plain and self._forward_plainly(route, ingress, packets)):
                for packet in packets:
                    self._forward_one(route, ingress, packet, packets)
        if ingress.former:
            self._forward_late(ingress, [packet for packet in packets if packet.is_late])

    def _forward_plainly(self, route: Route, ingress: Ingress, packets: Sequence[Packet]) -> bool:
        """The usual case, in one tight loop; False when it is not the usual case, and nothing was done."""
        egress = route.egress
        protector, destination, local, layout = egress.protector, egress.destination, egress.local, route.layout
        segment = route.map.segment
        first = packets[0]
        payload_type = route.entry.payload_types.get(first.payload_type)
        pending = route.pending
        if (
            segment is None
            or route.ingress is not ingress
            or (pending is not None and pending.ingress is ingress)
            or protector is None
            or destination is None
            or payload_type is None
            or (egress.pacer is not None and not route.entry.is_audio and not _fits(egress.pacer, packets, self._now))
            or not layout.is_usual
            or first.ext_seq < route.map.next_ext
            or packets[-1].ext_seq - route.map.next_ext > MAX_GAP
        ):
            return False
        rewrite = segment.rewrite
        if rewrite.max_temporal != _NO_LIMIT or rewrite.max_spatial != _NO_LIMIT:
            return False
        tails = [layout.tail(packet) for packet in packets]
        if None in tails:
            return False
        difference = segment.first_out - segment.first_ext
        timestamp_offset = rewrite.timestamp_offset
        ssrc, base, seal, stamps = route.entry.ssrc, route.base, protector.seal, route.stamps
        stamp = send_time(self._now)
        send_time_word, seq_tag = layout.send_time_word | stamp, layout.seq_tag
        transport_seq = egress.transport_seq
        append = self._outgoing.append
        pacer, records, now = egress.pacer, egress.records, self._now
        kind = SentKind.AUDIO if route.entry.is_audio else SentKind.VIDEO
        octets = size = out_seq = 0
        for packet, tail in zip(packets, tails, strict=True):
            assert tail is not None
            out_seq = packet.ext_seq + difference
            payload = packet.rewritten(rewrite)
            octets += len(payload)
            header = (
                pack_stamped(
                    0x90,
                    packet.marker | payload_type,
                    out_seq & 0xFFFF,
                    (packet.timestamp + timestamp_offset) & _MASK32,
                    ssrc,
                    0xBEDE,
                    tail[0],
                    send_time_word,
                    seq_tag,
                    transport_seq,
                )
                + tail[1]
            )
            if stamps is not None:
                stamps[out_seq % STAMPS] = (out_seq, stamp, transport_seq)
            data = seal(header, payload, base, out_seq)
            if records is not None:
                records.append(SentPacket(transport_seq, ssrc, out_seq & 0xFFFF, len(data), now, kind))
            if pacer is not None:
                pacer.charge(now, len(data))
            transport_seq = (transport_seq + 1) & 0xFFFF
            size += len(data)
            append(Outgoing(data, destination, local))
        egress.transport_seq = transport_seq
        last = packets[-1]
        route.map.next_ext = last.ext_seq + 1
        route.note(last, rewrite, out_seq)
        route.packets += len(packets)
        route.octets += octets
        tally = self._tally
        tally.forwarded += len(packets)
        tally.datagrams_out += len(packets)
        tally.bytes_out += size
        return True

    def _forward_one(self, route: Route, ingress: Ingress, packet: Packet, run: Sequence[Packet]) -> None:
        pending = route.pending
        if pending is not None and pending.ingress is ingress and self._may_flip(route, packet):
            if route.flips_at(packet, ingress):
                route.flip(packet, ingress)
                self._switches.append(Switch(route.entry.route, ingress.entry.stream, packet.ext_seq))
                self._forward_in_order(route, packet)
                self._catch_up(route, ingress, packet, run)
                return
            if route.ingress is None and packet.payload:
                self._tally.drop(Drop.WAITING_FOR_KEYFRAME)
        if route.ingress is not ingress:
            return
        if packet.ext_seq >= route.map.next_ext:
            self._forward_in_order(route, packet)
        else:
            self._forward_past(route, ingress, packet)

    def _may_flip(self, route: Route, packet: Packet) -> bool:
        return bool(packet.payload) and packet.payload_type in route.entry.payload_types

    def _catch_up(self, route: Route, ingress: Ingress, first: Packet, run: Sequence[Packet]) -> None:
        """The flip's first packet was repaired: what came after it before it did is in the cache."""
        for ext_seq in range(first.ext_seq + 1, ingress.newest + 1):
            packet = ingress.get(ext_seq)
            # Later packets of the run get their turn.
            if packet is None or (packet.run == first.run and packet.run_index > first.run_index):
                continue
            if packet.ext_seq >= route.map.next_ext:
                self._forward_in_order(route, packet)

    def _forward_in_order(self, route: Route, packet: Packet) -> None:
        tally = self._tally
        segment = route.map.segment
        assert segment is not None
        if not packet.payload:
            route.map.skip(packet.ext_seq)
            return
        if packet.payload_type not in route.entry.payload_types:
            route.map.skip(packet.ext_seq)
            tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
            return
        if route.lacks_layers(segment.rewrite):
            segment = route.raise_layers(packet)
        if packet.is_above(segment.rewrite):
            route.filter(packet)
            tally.drop(Drop.FILTERED)
            return
        segment, out_seq = route.map.place(packet.ext_seq)
        route.note(packet, segment.rewrite, out_seq)
        self._emit(route, segment, packet, out_seq)

    def _forward_late(self, ingress: Ingress, packets: Sequence[Packet]) -> None:
        """Routes that have left the stream still get what belongs between the packets that they got."""
        for route in tuple(ingress.former):
            if route.ingress is ingress:
                continue
            for packet in packets:
                if packet.payload and route.map.find(ingress, packet.ext_seq) is not None:
                    self._forward_past(route, ingress, packet)

    def _forward_past(self, route: Route, ingress: Ingress, packet: Packet) -> None:
        """A late packet takes the place that was kept for it, rewritten as its neighbours were."""
        if not packet.payload:
            return
        segment = route.map.find(ingress, packet.ext_seq)
        if segment is None:
            self._tally.drop(Drop.TOO_LATE)
        elif packet.payload_type not in route.entry.payload_types:
            self._tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
        elif packet.is_above(segment.rewrite):
            self._tally.drop(Drop.FILTERED)
        else:
            self._emit(route, segment, packet, segment.first_out + packet.ext_seq - segment.first_ext)

    def _emit(self, route: Route, segment: Segment[Ingress], packet: Packet, out_seq: int) -> None:
        route.egress.emit(Numbered(route, segment, packet, out_seq), self._now, self._outgoing)


def _fits(pacer: Pacer, packets: Sequence[Packet], now: int) -> bool:
    """Whether a run surely goes past the queue as a whole."""
    size = sum(len(packet.payload) for packet in packets) + _OVERHEAD * len(packets)
    return pacer.admits(now, False) and pacer.fits(now, size)


def _is_plain(packets: Sequence[Packet]) -> bool:
    """Whether the packets are in order, of one payload type, and for everybody."""
    payload_type = packets[0].payload_type
    previous = -1
    for packet in packets:
        if packet.ext_seq <= previous or packet.payload_type != payload_type or not packet.payload:
            return False
        previous = packet.ext_seq
    return True
