"""Forwards a run of one stream's packets to all of its routes: selects packets, closes gaps, and numbers them."""

from collections.abc import Mapping, Sequence

from sfu.engine.contract import Arrival, ArrivalFlag, Drop, Outgoing, Result, Switch
from sfu.engine.layout import Layout, pack_stamped
from sfu.engine.pacer import Numbered, Pacer
from sfu.engine.packet import Packet
from sfu.engine.peer_sender import PeerSender, send_time
from sfu.engine.reception import Peer
from sfu.engine.route import SILENCE, STAMPS, Route, RoutedStream
from sfu.engine.sequence_map import MAX_GAP, Rewrite, Segment
from sfu.engine.tally import Tally
from sfu.machines.congestion.send_history import SentKind, SentPacket

_MASK32 = 0xFFFFFFFF
_NO_LIMIT = 255
_OVERHEAD = 160  # room beyond the payload: more than header, one-byte extensions and tag
_new_tuple = tuple.__new__  # creates a named tuple in two thirds of its constructor's time

Plan = list[tuple[int, int, int, int, int, bytes, bytes]]
"""For each packet: ext_seq, first byte, marker, timestamp, words of extensions, the rest of the header, payload."""


class Forwarder:
    """Forwards runs; appends to the `result` that the engine returns. `peers` are those of the table."""

    def __init__(
        self,
        peers: Mapping[int, Peer],
        tally: Tally,
        now: int,
        result: Result,
    ) -> None:
        self._peers = peers
        self._tally = tally
        self._now = now
        self._outgoing = result.outgoing
        self._switches = result.switches
        self._arrivals = result.arrivals

    def forward(self, stream: RoutedStream, packets: Sequence[Packet]) -> None:
        """Forward packets that have just been put into the stream's cache, in order of arrival."""
        is_plain = _is_plain(packets)
        octets = sum(len(packet.payload) for packet in packets)
        # Shared bytes by layout and rewrite, since routes of a room mostly agree.
        plans: dict[tuple[Layout, int, int], Plan | None] = {}
        for route in tuple(stream.routes):
            if is_plain and self._takes_plainly(route, stream, packets):
                rewrite = _rewrite(route)
                key = (route.layout, rewrite.picture_offset, rewrite.tl0_offset)
                if key not in plans:
                    plans[key] = _make_plan(route.layout, rewrite, packets)
                plan = plans[key]
                if plan is not None:
                    self._send_plainly(route, plan, packets[-1], octets)
                    continue
            for packet in packets:
                self._forward_one(route, stream, packet)
        if stream.former:
            self._forward_late(stream, [packet for packet in packets if packet.is_late])

    def leave_out(self, stream: RoutedStream, packets: Sequence[Packet]) -> None:
        """Forward none of the packets; the numbering closes over them."""
        for route in tuple(stream.routes):
            for packet in packets:
                if route.stream is stream and packet.ext_seq >= route.map.next_ext:
                    route.map.skip(packet.ext_seq, whole_gap=packet.closes)
        if stream.routes:
            self._tally.drop(Drop.SILENT, len(packets))
        if stream.former:
            self._forward_late(stream, [packet for packet in packets if packet.is_late])

    def _sender(self, route: Route) -> PeerSender:
        return self._peers[route.entry.peer].sender

    def _takes_plainly(self, route: Route, stream: RoutedStream, packets: Sequence[Packet]) -> bool:
        """Return True in the usual case: the complete run is sent immediately, in order, with both stamps."""
        sender, pending = self._sender(route), route.pending
        segment = route.map.segment
        return (
            segment is not None
            and route.stream is stream
            and (pending is None or pending.stream is not stream)
            and sender.protector is not None
            and sender.destination is not None
            and not (sender.copies and route.entry.is_audio)
            and packets[0].payload_type in route.entry.payload_types
            and route.layout.is_usual
            and route.has_settled
            and not route.is_cut
            and segment.rewrite.max_temporal == segment.rewrite.max_spatial == _NO_LIMIT
            and packets[0].ext_seq >= route.map.next_ext
            and packets[-1].ext_seq - route.map.next_ext <= MAX_GAP
            and (sender.pacer is None or route.entry.is_audio or _fits(sender.pacer, packets, self._now))
        )

    def _send_plainly(self, route: Route, plan: Plan, last: Packet, octets: int) -> None:
        """Send a run in one tight loop; everything that does not change from packet to packet is looked up before
        it.
        """
        sender, segment, entry, stamps = self._sender(route), route.map.segment, route.entry, route.stamps
        protector, destination, local = sender.protector, sender.destination, sender.local
        assert segment is not None
        assert protector is not None
        difference = segment.first_out - segment.first_ext
        timestamp_offset = segment.rewrite.timestamp_offset
        payload_type = entry.payload_types[last.payload_type]
        ssrc, base, seal, now = entry.ssrc, route.base, protector.seal, self._now
        stamp = send_time(now)
        send_time_word, seq_tag = route.layout.send_time_word | stamp, route.layout.seq_tag
        transport_seq = sender.transport_seq
        append, pacer, analyser = self._outgoing.append, sender.pacer, sender.analyser
        kind = SentKind.AUDIO if entry.is_audio else SentKind.VIDEO
        size = out_seq = 0
        for ext_seq, first, marker, timestamp, words, tail, payload in plan:
            out_seq = ext_seq + difference
            header = (
                pack_stamped(
                    first, marker | payload_type, out_seq & 0xFFFF, (timestamp + timestamp_offset) & _MASK32, ssrc,
                    0xBEDE, words, send_time_word, seq_tag, transport_seq,
                )
                + tail
            )  # fmt: skip
            data = seal(header, payload, base, out_seq)
            append(_new_tuple(Outgoing, (data, destination, local)))
            size += len(data)
            if stamps is not None:
                stamps[out_seq % STAMPS] = (out_seq, stamp, transport_seq)
            if analyser is not None:
                analyser.sent(SentPacket(transport_seq, ssrc, out_seq & 0xFFFF, len(data), now, kind))
            if pacer is not None:
                pacer.charge(now, len(data))
            transport_seq = (transport_seq + 1) & 0xFFFF
        sender.transport_seq = transport_seq
        route.map.next_ext = last.ext_seq + 1
        route.note(last, segment.rewrite, out_seq)
        route.newest_sent = out_seq
        route.packets += len(plan)
        route.octets += octets
        self._count(len(plan), size)

    def _count(self, packets: int, size: int) -> None:
        self._tally.forwarded += packets
        self._tally.datagrams_out += packets
        self._tally.bytes_out += size

    def _forward_one(self, route: Route, stream: RoutedStream, packet: Packet) -> None:
        pending = route.pending
        if pending is not None and pending.stream is stream and self._may_flip(route, packet):
            first = route.flips_from(packet, stream)
            if first is not None:
                route.flip(first, stream, packet)
                self._switches.append(Switch(route.entry.route, stream.entry.stream, first.ext_seq))
                self._forward_in_order(route, first)
                self._catch_up(route, stream, first, packet)
                return
            if route.stream is None and packet.payload:
                self._tally.drop(Drop.WAITING_FOR_KEYFRAME)
        if route.stream is not stream:
            return
        if packet.ext_seq >= route.map.next_ext:
            self._forward_in_order(route, packet)
        else:
            self._forward_past(route, stream, packet)

    def _may_flip(self, route: Route, packet: Packet) -> bool:
        return bool(packet.payload) and packet.payload_type in route.entry.payload_types

    def _catch_up(self, route: Route, stream: RoutedStream, first: Packet, current: Packet) -> None:
        """Switch at an earlier packet; the packets between it and `current` are in the cache."""
        for ext_seq in range(first.ext_seq + 1, stream.newest + 1):
            packet = stream.get(ext_seq)
            # Later packets of the run follow in their turn.
            if packet is None or (packet.run == current.run and packet.run_index > current.run_index):
                continue
            if packet.ext_seq >= route.map.next_ext:
                self._forward_in_order(route, packet)

    def _forward_in_order(self, route: Route, packet: Packet) -> None:
        tally = self._tally
        segment = route.map.segment
        assert segment is not None
        if not packet.payload:
            route.map.skip(packet.ext_seq, whole_gap=packet.closes)
            return
        if packet.payload_type not in route.entry.payload_types:
            route.map.skip(packet.ext_seq, whole_gap=packet.closes)
            tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
            return
        if route.is_ahead(packet):
            segment = route.fall_back(packet)
        if route.lacks_layers(segment.rewrite):
            segment = route.raise_layers(packet)
        if packet.is_above(segment.rewrite):
            route.filter(packet)
            tally.drop(Drop.FILTERED)
            return
        if not route.entry.is_audio and self._is_cut(route, packet):
            route.map.skip(packet.ext_seq, whole_gap=packet.closes)
            return
        segment, out_seq = route.map.place(packet.ext_seq, closes=packet.closes)
        route.note(packet, segment.rewrite, out_seq)
        self._emit(route, segment, packet, out_seq)

    def _is_cut(self, route: Route, packet: Packet) -> bool:
        """Return True if a packet must be left out, before it gets a number: the peer's queue is full, or has been
        since the last keyframe. Once there is room for one, policy is told.
        """
        sender, stream = self._sender(route), route.stream
        assert stream is not None
        if not route.is_cut:
            route.is_cut, route.has_asked = sender.is_full, False
            if route.is_cut:
                self._tally.drop(Drop.QUEUE_FULL)
            return route.is_cut
        has_room, begins = sender.room() >= 0, packet.ext_seq == stream.keyframe
        if has_room and begins:
            route.is_cut = False
            return False
        if has_room and not route.has_asked:
            self._arrivals.append(_cut_of(stream, packet))
        route.has_asked = (route.has_asked or has_room) and not begins
        self._tally.drop(Drop.WAITING_FOR_KEYFRAME)
        return True

    def _forward_late(self, stream: RoutedStream, packets: Sequence[Packet]) -> None:
        """Send late packets to routes that have left the stream, if they belong between packets that those got."""
        for route in tuple(stream.former):
            if route.stream is stream:
                continue
            for packet in packets:
                if packet.payload and route.map.find(stream, packet.ext_seq) is not None:
                    self._forward_past(route, stream, packet)

    def _forward_past(self, route: Route, stream: RoutedStream, packet: Packet) -> None:
        """Send a late packet in the place that was kept for it, rewritten like its neighbours."""
        if not packet.payload:
            return
        segment = route.map.find(stream, packet.ext_seq)
        if segment is None:
            self._tally.drop(Drop.TOO_LATE)
        elif packet.payload_type not in route.entry.payload_types:
            self._tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
        elif packet.is_above(segment.rewrite):
            self._tally.drop(Drop.FILTERED)
        else:
            self._emit(route, segment, packet, segment.first_out + packet.ext_seq - segment.first_ext)

    def _emit(self, route: Route, segment: Segment[RoutedStream], packet: Packet, out_seq: int) -> None:
        self._sender(route).emit(Numbered(route, segment, packet, out_seq), self._now, self._outgoing)


def _cut_of(stream: RoutedStream, packet: Packet) -> Arrival:
    """Return the notice that a watcher of a stream needs a keyframe."""
    entry = stream.entry
    return Arrival(entry.peer, entry.stream, packet.ext_seq, 0, packet.arrival, packet.timestamp, 0, ArrivalFlag.CUT)


def is_silent(stream: RoutedStream, now: int) -> bool:
    """Return True if a stream tells levels, and nobody has spoken in it for a while."""
    return stream.progress.heard_at > 0 and now - stream.progress.spoke_at > SILENCE


def _rewrite(route: Route) -> Rewrite:
    assert route.map.segment is not None
    return route.map.segment.rewrite


def _make_plan(layout: Layout, rewrite: Rewrite, packets: Sequence[Packet]) -> Plan | None:
    """Return the bytes that routes of this layout and rewrite share; None if a packet needs the two-byte form."""
    plan: Plan = []
    for packet in packets:
        tail = layout.tail(packet, packet.frame_offset(rewrite))
        if tail is None:
            return None
        payload = packet.rewritten(rewrite) + packet.padding
        first = 0xB0 if packet.equalising else 0x90
        plan.append((packet.ext_seq, first, packet.marker, packet.timestamp, *tail, payload))
    return plan


def _fits(pacer: Pacer, packets: Sequence[Packet], now: int) -> bool:
    """Return True if a complete run is certain to bypass the queue."""
    size = sum(len(packet.payload) for packet in packets) + _OVERHEAD * len(packets)
    return pacer.admits(now, False) and pacer.fits(now, size)


def _is_plain(packets: Sequence[Packet]) -> bool:
    """Return True if the packets are in order, have one payload type, go to everybody, and follow no loss of ours."""
    payload_type = packets[0].payload_type
    previous = -1
    for packet in packets:
        if packet.ext_seq <= previous or packet.payload_type != payload_type or not packet.payload or packet.closes:
            return False
        previous = packet.ext_seq
    return True
