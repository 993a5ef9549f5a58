"""The sending side of a peer: keys, address, pacing, the stamps that follow send order, and repairs."""

import weakref
from collections.abc import Iterable, Mapping

from sfu.engine.contract import Address, Drop, Outgoing, SrtpKeys
from sfu.engine.layout import Layout
from sfu.engine.pacer import CATCH_UP_BYTES, Numbered, Pacer
from sfu.engine.packet import Packet
from sfu.engine.route import STAMPS, Route
from sfu.engine.srtp import NoProtector, PlainRtcp, Protector, RtcpProtector, create_protector
from sfu.engine.tally import Tally
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.congestion.feedback_analyser import FeedbackAnalyser
from sfu.machines.congestion.send_history import SentKind, SentPacket

_MASK32 = 0xFFFFFFFF
PADDING_PACKETS = 16
"""The number of a route's newest packets that are used as padding, in turn."""
PADDING_BYTES = 255
"""The payload of a packet of padding alone; a count in its last byte limits it."""
MAX_COPIES = 2
COPY_UNTIL = 100_000_000
"""The age (ns) of an audio packet from which on a copy would be too late."""
COPIES_APART = 10_000_000
Layouts = weakref.WeakValueDictionary[tuple[frozenset[tuple[Extension, int]], str, bytes], Layout]
"""Layouts in use, each shared by the routes that agree on it."""


def send_time(now: int) -> int:
    """Return abs-send-time: seconds of the monotonic clock in 6.18 fixed point."""
    return (now << 18) // 1_000_000_000 & 0xFFFFFF


class PeerSender:
    """`routes` are by SSRC. `protector` and `destination` are None until policy sets keys and address."""

    def __init__(self, tally: Tally, layouts: Layouts) -> None:
        self.routes: dict[int, Route] = {}
        self.protector: Protector | None = None
        self.destination: Address | None = None
        self.local = 0
        self.transport_seq = 0
        self.copies = 0
        """The number of later audio packets with which each is sent again."""
        self.pacer: Pacer | None = None
        self.analyser: FeedbackAnalyser | None = None
        self.folds = 0
        self._rtcp: RtcpProtector | PlainRtcp | None = None
        self._extensions: Mapping[Extension, int] = {}
        self._playout_delay = b""
        self._indexes: dict[int, int] = {}
        self._tally = tally
        self._layouts = layouts

    def set_extensions(self, extensions: Mapping[Extension, int]) -> None:
        self._extensions = extensions
        for route in self.routes.values():
            self._lay_out(route)

    def set_playout_delay(self, value: bytes) -> None:
        """Set the extension's least value for pictures, empty for none."""
        self._playout_delay = value
        for route in self.routes.values():
            if _has_rtx(route):
                self._lay_out(route)

    def set_keys(self, keys: SrtpKeys) -> None:
        """Protect with new keys, under which packet indexes begin anew."""
        self._protect_with(create_protector(keys), RtcpProtector(keys))

    def set_unprotected(self) -> None:
        """Send plain RTP and RTCP."""
        self._protect_with(NoProtector(), PlainRtcp())

    def _protect_with(self, protector: Protector, rtcp: RtcpProtector | PlainRtcp) -> None:
        self.protector = protector
        self._rtcp = rtcp
        self._indexes.clear()
        for route in self.routes.values():
            route.map.renumber(route.entry.first_seq)
            route.newest_sent = route.entry.first_seq - 1
            route.rtx_next = route.entry.first_seq
            route.retransmissions = None
            self._lay_out(route)
            self._set_bases(route)

    def first_index(self, ssrc: int, first_seq: int) -> int:
        """Return the first packet index of a new route, which follows those already protected under its SSRC."""
        return self._indexes.get(ssrc, first_seq)

    def add_route(self, route: Route) -> None:
        self.routes[route.entry.ssrc] = route
        self._lay_out(route)
        self._set_bases(route)

    def update_route(self, route: Route) -> None:
        """Take a changed entry of a route, with the same SSRCs."""
        self._lay_out(route)

    def remove_route(self, route: Route) -> None:
        entry = route.entry
        del self.routes[entry.ssrc]
        self._indexes[entry.ssrc] = route.map.next_out
        if entry.rtx_ssrc is not None:
            self._indexes[entry.rtx_ssrc] = route.rtx_next

    def set_budget(self, bits_per_second: int | None) -> None:
        if self.pacer is not None:
            self.pacer.bits_per_second = bits_per_second or 0
            if bits_per_second is None and self.pacer.is_empty:
                self.pacer = None
        elif bits_per_second is not None:
            self.pacer = Pacer(bits_per_second)

    def room(self) -> int:
        """Return the number of bytes of past packets with which a route may begin."""
        return self.pacer.room() if self.pacer is not None else CATCH_UP_BYTES

    @property
    def is_full(self) -> bool:
        """True if no further packet may wait for the budget."""
        return self.pacer is not None and self.pacer.is_full

    def emit(self, numbered: Numbered, now: int, outgoing: list[Outgoing]) -> None:
        """Send a packet, or queue it if the budget is spent. Audio is sent at once and charged."""
        pacer = self.pacer
        if pacer is not None and not numbered.route.entry.is_audio and not pacer.admits(now, numbered.is_repair):
            if not pacer.push(numbered):
                self._tally.drop(Drop.QUEUE_FULL)
            return
        self._send(numbered, now, outgoing)
        route = numbered.route
        if self.copies and route.entry.is_audio and not numbered.is_repair and numbered.out_seq == route.newest_sent:
            self._send_copies(route, now, outgoing)

    def _send_copies(self, route: Route, now: int, outgoing: list[Outgoing]) -> None:
        """Send the packets before a route's newest one again."""
        for out_seq in range(route.newest_sent - 1, route.newest_sent - 1 - self.copies, -1):
            segment = route.map.find_out(out_seq)
            packet = None
            if segment is not None:
                packet = segment.stream.get(segment.first_ext + out_seq - segment.first_out)
            if segment is None or packet is None or not packet.payload or packet.is_above(segment.rewrite):
                continue
            if now - packet.arrival > COPY_UNTIL:
                continue
            if route.may_retransmit(out_seq, now, COPIES_APART):
                self._send(Numbered(route, segment, packet, out_seq, True), now, outgoing)

    def forget_queued(self, route: Route) -> int:
        """Drop a route's waiting packets; return their number."""
        count = self.pacer.remove(route) if self.pacer is not None else 0
        self._tally.drop(Drop.STOPPED, count)
        return count

    def release(self, now: int, outgoing: list[Outgoing]) -> None:
        """Send waiting packets within the budget."""
        pacer = self.pacer
        if pacer is None or pacer.next_release > now:
            return
        while not pacer.is_empty and pacer.is_open(now):
            self._send(pacer.pop(), now, outgoing)
        if pacer.is_empty and not pacer.bits_per_second:
            self.pacer = None

    def retransmit(self, ssrc: int, seqs: Iterable[int], now: int, min_interval: int, outgoing: list[Outgoing]) -> None:
        """Answer a NACK, or send copies. Raises KeyError for an SSRC that the peer does not get.

        Packets that still wait are left out: a copy that overtook them would look like the end of a gap.
        """
        route = self.routes[ssrc]
        newest = route.map.next_out - 1
        for seq in seqs:
            out_seq = newest - ((newest - seq) & 0xFFFF)
            segment = route.map.find_out(out_seq)
            packet = None
            if segment is not None:
                packet = segment.stream.get(segment.first_ext + out_seq - segment.first_out)
            if segment is None or packet is None or not packet.payload or packet.is_above(segment.rewrite):
                self._tally.drop(Drop.RTX_UNKNOWN)
            elif out_seq > route.newest_sent or not route.may_retransmit(out_seq, now, min_interval):
                self._tally.drop(Drop.RTX_TOO_SOON)
            else:
                self.emit(Numbered(route, segment, packet, out_seq, True), now, outgoing)

    def report_sent(self, wanted: bool) -> None:
        if not wanted:
            self.analyser = None
            self.folds = 0
        elif self.analyser is None:
            self.analyser = FeedbackAnalyser()

    def pad(self, size: int, now: int, outgoing: list[Outgoing]) -> None:
        """Send at least `size` bytes over RTX: recently sent packets again, or padding alone if none is cached."""
        routes = [route for route in self.routes.values() if _has_rtx(route) and not route.entry.is_audio]
        route = max(routes, key=lambda route: route.last_arrival, default=None)
        if route is None or not route.packets:
            return
        packets = _newest_packets(route)
        while not packets and size > 0:
            before = len(outgoing)
            self._send_blank(route, now, outgoing)
            if len(outgoing) == before:
                return
            size -= len(outgoing[-1].data)
        while size > 0:
            for numbered in packets:
                before = len(outgoing)
                self._send(numbered, now, outgoing, SentKind.PADDING)
                if len(outgoing) == before:
                    return
                size -= len(outgoing[-1].data)
                if size <= 0:
                    return

    def protect_rtcp(self, compound: bytes) -> list[Outgoing]:
        if self._rtcp is None:
            self._tally.drop(Drop.NO_KEYS)
            return []
        if self.destination is None:
            self._tally.drop(Drop.NO_ADDRESS)
            return []
        data = self._rtcp.protect(compound)
        self._tally.datagrams_out += 1
        self._tally.bytes_out += len(data)
        return [Outgoing(data, self.destination, self.local)]

    def _send(self, numbered: Numbered, now: int, outgoing: list[Outgoing], kind: SentKind = SentKind.RTX) -> None:
        """Protect and send now. `kind` is the counter of a repair."""
        payload_type = numbered.route.entry.payload_types.get(numbered.packet.payload_type)
        if payload_type is None:
            self._tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
            return
        protector = self._ready_protector()
        if protector is None:
            return
        if numbered.is_repair:
            data = self._repair(protector, numbered, payload_type, now, kind)
        else:
            data = self._first(protector, numbered, payload_type, now)
        if data is None:
            self._tally.drop(Drop.RTX_UNKNOWN)
            return
        numbered.route.newest_sent = max(numbered.route.newest_sent, numbered.out_seq)
        self._commit(data, now, outgoing)

    def _send_blank(self, route: Route, now: int, outgoing: list[Outgoing]) -> None:
        """Send a packet of padding alone, as libwebrtc does: over RTX, where it leaves no gap in the media."""
        entry = route.entry
        protector = self._ready_protector()
        if protector is None or entry.rtx_ssrc is None:
            return
        rtx_seq = route.rtx_next
        route.rtx_next += 1
        stamps = (send_time(now), self._next_transport_seq(route))
        payload_type = entry.rtx_payload_types[min(entry.rtx_payload_types)]
        fixed = (payload_type, rtx_seq & 0xFFFF, route.last_timestamp, entry.rtx_ssrc)
        header = route.layout.header(_BLANK, fixed, stamps, 0)
        payload = bytes(PADDING_BYTES - 1) + bytes([PADDING_BYTES])
        data = protector.seal(header, payload, route.rtx_base, rtx_seq)
        if self.analyser is not None:
            seq = _recorded_seq(route, stamps)
            self.analyser.sent(SentPacket(seq, entry.rtx_ssrc, rtx_seq & 0xFFFF, len(data), now, SentKind.PADDING))
        self._commit(data, now, outgoing)

    def _ready_protector(self) -> Protector | None:
        """Return the protector if packets can be sent; else count a drop."""
        if self.protector is None:
            self._tally.drop(Drop.NO_KEYS)
        elif self.destination is None:
            self._tally.drop(Drop.NO_ADDRESS)
        else:
            return self.protector
        return None

    def _commit(self, data: bytes, now: int, outgoing: list[Outgoing]) -> None:
        assert self.destination is not None
        if self.pacer is not None:
            self.pacer.charge(now, len(data))
        self._tally.datagrams_out += 1
        self._tally.bytes_out += len(data)
        outgoing.append(Outgoing(data, self.destination, self.local))

    def _first(self, protector: Protector, numbered: Numbered, payload_type: int, now: int) -> bytes:
        route, segment, packet, out_seq, _ = numbered
        stamps = (send_time(now), self._next_transport_seq(route))
        if route.stamps is not None:
            route.stamps[out_seq % STAMPS] = (out_seq, *stamps)
        payload = packet.rewritten(segment.rewrite)
        header = _header(numbered, payload_type, out_seq, route.entry.ssrc, stamps)
        route.packets += 1
        route.octets += len(payload)
        self._tally.forwarded += 1
        data = protector.seal(header, payload + packet.padding, route.base, out_seq)
        if self.analyser is not None:
            sound = SentKind.COPIED_AUDIO if self.copies else SentKind.AUDIO
            kind = sound if route.entry.is_audio else SentKind.VIDEO
            seq = _recorded_seq(route, stamps)
            self.analyser.sent(SentPacket(seq, route.entry.ssrc, out_seq & 0xFFFF, len(data), now, kind))
        return data

    def _repair(
        self, protector: Protector, numbered: Numbered, payload_type: int, now: int, kind: SentKind
    ) -> bytes | None:
        route, segment, packet, out_seq, _ = numbered
        entry = route.entry
        payload = packet.rewritten(segment.rewrite) + packet.padding
        rtx_payload_type = entry.rtx_payload_types.get(payload_type)
        if entry.rtx_ssrc is not None and rtx_payload_type is not None:
            rtx_seq = route.rtx_next
            route.rtx_next += 1
            stamps = (send_time(now), self._next_transport_seq(route))
            header = _header(numbered, rtx_payload_type, rtx_seq, entry.rtx_ssrc, stamps)
            payload = (out_seq & 0xFFFF).to_bytes(2, "big") + payload
            data = protector.seal(header, payload, route.rtx_base, rtx_seq)
            if self.analyser is not None:
                seq = _recorded_seq(route, stamps)
                self.analyser.sent(SentPacket(seq, entry.rtx_ssrc, rtx_seq & 0xFFFF, len(data), now, kind))
        else:
            # A packet index may be used for one packet only, so a repeat must have the same bytes, including stamps.
            sent = route.stamps[out_seq % STAMPS] if route.stamps is not None else None
            if sent is None or sent[0] != out_seq:
                return None
            header = _header(numbered, payload_type, out_seq, entry.ssrc, sent[1:])
            data = protector.seal(header, payload, route.base, out_seq)
        if kind is SentKind.RTX:
            route.retransmitted += 1
            self._tally.retransmitted += 1
        return data

    def _next_transport_seq(self, route: Route) -> int:
        if not route.layout.stamps_transport_seq:
            return 0
        seq = self.transport_seq
        self.transport_seq = (seq + 1) & 0xFFFF
        return seq

    def _lay_out(self, route: Route) -> None:
        """Forget the packets that could be sent again, since other bytes under a used packet index are forbidden.

        For this reason, a route without RTX has no playout delay of its own either: it would change too often.
        """
        playout_delay = self._playout_delay if _has_rtx(route) else b""
        key = (frozenset(self._extensions.items()), route.entry.mid, playout_delay)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = Layout(self._extensions, route.entry.mid, playout_delay)
        route.layout = layout
        route.stamps = None if _has_rtx(route) else [None] * STAMPS

    def _set_bases(self, route: Route) -> None:
        if self.protector is not None:
            route.base = self.protector.base(route.entry.ssrc)
            route.rtx_base = self.protector.base(route.entry.rtx_ssrc or 0)


def _header(numbered: Numbered, payload_type: int, seq: int, ssrc: int, stamps: tuple[int, int]) -> bytes:
    packet, rewrite = numbered.packet, numbered.segment.rewrite
    timestamp = (packet.timestamp + rewrite.timestamp_offset) & _MASK32
    fixed = (packet.marker_under(rewrite) | payload_type, seq & 0xFFFF, timestamp, ssrc)
    return numbered.route.layout.header(packet, fixed, stamps, packet.frame_offset(rewrite))


def _recorded_seq(route: Route, stamps: tuple[int, int]) -> int:
    return stamps[1] if route.layout.stamps_transport_seq else -1


def _has_rtx(route: Route) -> bool:
    return route.entry.rtx_ssrc is not None and bool(route.entry.rtx_payload_types)


def _blank_packet() -> Packet:
    """Return what a header of padding alone is made from: no passed extensions, and the padding bit."""
    packet = Packet(0, arrival=0, timestamp=0, marker=False, payload_type=0, codec=Codec.RTX, payload=b"", passed={})
    packet.equalising = PADDING_BYTES
    return packet


_BLANK = _blank_packet()


def _newest_packets(route: Route) -> list[Numbered]:
    """Return the newest packets of a route that may be sent again, newest first; none that still waits."""
    newest = min(route.map.next_out - 1, route.newest_sent)
    packets = []
    for out_seq in range(newest, newest - PADDING_PACKETS, -1):
        segment = route.map.find_out(out_seq)
        packet = segment.stream.get(segment.first_ext + out_seq - segment.first_out) if segment is not None else None
        if segment is not None and packet is not None and packet.payload and not packet.is_above(segment.rewrite):
            packets.append(Numbered(route, segment, packet, out_seq, True))
    return packets
