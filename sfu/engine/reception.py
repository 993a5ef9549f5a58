"""The receiving side: turns a datagram into a packet in its stream's cache, or leaves it for policy."""

from typing import NamedTuple

from sfu.engine.checks import Checks
from sfu.engine.compound import packets_of, says_something, transport_feedback_of
from sfu.engine.contract import (
    Address,
    Arrival,
    ArrivalFlag,
    Datagram,
    Drop,
    Leftover,
    LeftoverKind,
    Observed,
    Outgoing,
    Result,
    SinkPacket,
    SrtpKeys,
)
from sfu.engine.packet import PASSED, Packet
from sfu.engine.peer_sender import PeerSender
from sfu.engine.redundancy import is_plain, missing
from sfu.engine.route import RoutedStream
from sfu.engine.srtp import MAX_PACKET_BYTES, PlainReceiver, Receiver, SrtpError, SrtpReceiver
from sfu.engine.tally import Tally
from sfu.formats import red, rtcp, rtp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.repair.stream_progress import RESUMED_NS
from sfu.machines.repair.twcc_receiver import TwccReceiver

_KEPT = frozenset({*PASSED, Extension.TRANSPORT_SEQ, Extension.ABS_SEND_TIME})


_TOLD = (
    ArrivalFlag.KEYFRAME | ArrivalFlag.REPAIRED | ArrivalFlag.RESUMED | ArrivalFlag.RECOVERED | ArrivalFlag.OVERFLOWED
)


class Peer:
    """A peer in the table. `ssrcs` maps an SSRC to its stream and to whether it is the stream's RTX."""

    def __init__(self, number: int, sender: PeerSender) -> None:
        self.number = number
        self.sender = sender
        self.receiver: Receiver | None = None
        self.extensions: dict[int, Extension] = {}
        self.ssrcs: dict[int, tuple[RoutedStream, bool]] = {}
        self.sources: set[tuple[Address, int]] = set()
        self.acknowledger: TwccReceiver | None = None
        self.checks: Checks | None = None
        self.last_activity = 0

    def streams(self) -> list[RoutedStream]:
        return [stream for stream, is_rtx in self.ssrcs.values() if not is_rtx]

    def set_keys(self, keys: SrtpKeys) -> None:
        self.receiver = SrtpReceiver(keys)
        for ssrc in self.ssrcs:
            self.receiver.register(ssrc)
        self.sender.set_keys(keys)

    def set_unprotected(self) -> None:
        self.receiver = PlainReceiver()
        self.sender.set_unprotected()

    def register(self, stream: RoutedStream) -> None:
        entry = stream.entry
        self.ssrcs[entry.ssrc] = (stream, False)
        if entry.rtx_ssrc is not None:
            self.ssrcs[entry.rtx_ssrc] = (stream, True)
        if self.receiver is not None:
            self.receiver.register(entry.ssrc)
            if entry.rtx_ssrc is not None:
                self.receiver.register(entry.rtx_ssrc)

    def unregister(self, stream: RoutedStream) -> None:
        entry = stream.entry
        for ssrc in (entry.ssrc, entry.rtx_ssrc):
            if ssrc is not None:
                del self.ssrcs[ssrc]
                if self.receiver is not None:
                    self.receiver.unregister(ssrc)


class Received(NamedTuple):
    """A packet of a registered stream, or of its repair stream."""

    datagram: Datagram
    data: bytes
    header: rtp.RtpHeader
    stream: RoutedStream
    is_rtx: bool


class Original(NamedTuple):
    """A packet as the publisher first sent it, with RTX unwrapped. `data` includes any padding."""

    data: bytes
    header_bytes: int
    payload_type: int
    payload: bytes
    timestamp: int
    marker: bool
    is_padded: bool
    arrival: int


class Reception:
    """Receives one batch. `runs` gathers each stream's new packets, in the order in which streams first appear."""

    def __init__(self, tally: Tally, result: Result, stray_limit: int = 0) -> None:
        self._stray_room = stray_limit
        self.runs: dict[RoutedStream, list[Packet]] = {}
        self._tally = tally
        self._result = result
        self._told: dict[Peer, int] = {}

    def receive(self, datagram: Datagram, peer: Peer | None) -> None:
        """Process a datagram: its first byte shows its kind (RFC 7983), its second RTCP or RTP (RFC 5761)."""
        data = datagram.data
        first = data[0] if data else 255
        if 128 <= first <= 191:
            if peer is None and self._stray_room > 0:
                self._stray_room -= 1
                self._leave(LeftoverKind.STRAY, datagram, peer, data)
            elif peer is None:
                self._tally.drop(Drop.UNKNOWN_SOURCE)
            else:
                self.receive_protected(datagram, peer)
        elif first <= 3:
            if peer is None or not self._answer(datagram, peer):
                self._leave(LeftoverKind.STUN, datagram, peer, data)
        elif 20 <= first <= 63:
            self._leave(LeftoverKind.DTLS, datagram, peer, data)
        else:
            self._tally.drop(Drop.NOT_WEBRTC)

    def _answer(self, datagram: Datagram, peer: Peer) -> bool:
        """Answer a repeated consent check; return whether it is one."""
        source, local = datagram.source, datagram.local
        if peer.checks is None or (source, local) != (peer.sender.destination, peer.sender.local):
            return False
        response = peer.checks.answer(datagram.data, datagram.arrival)
        if response is None:
            return False
        self._result.outgoing.append(Outgoing(response, source, local))
        self._tally.datagrams_out += 1
        self._tally.bytes_out += len(response)
        return True

    def receive_protected(self, datagram: Datagram, peer: Peer) -> None:
        """Take RTP or RTCP. Packets that arrive before the keys are left to policy, since they may accompany the
        handshake's end.
        """
        if peer.receiver is not None:
            self._receive_srtp(datagram, peer, peer.receiver)
        elif len(datagram.data) > MAX_PACKET_BYTES:
            self._tally.drop(Drop.MALFORMED)
        else:
            self._leave(LeftoverKind.EARLY, datagram, peer, datagram.data)

    def take_again(self, peer: Peer, leftover: Leftover) -> None:
        """Take an unprotected RTP packet whose SSRC was unknown."""
        datagram = Datagram(leftover.data, leftover.source, leftover.local, leftover.arrival)
        try:
            header = rtp.parse_header(leftover.data)
        except ValueError:
            self._tally.drop(Drop.MALFORMED)
            return
        known = peer.ssrcs.get(header.ssrc)
        if known is None:
            self._tally.drop(Drop.UNKNOWN_SSRC)
        else:
            self._take(Received(datagram, leftover.data, header, *known), peer)

    def _receive_srtp(self, datagram: Datagram, peer: Peer, receiver: Receiver) -> None:
        data = datagram.data
        try:
            if rtp.is_rtcp(data):
                compound = receiver.unprotect_rtcp(data)
                peer.last_activity = max(peer.last_activity, datagram.arrival)
                compound = self._fold(peer, compound, datagram.arrival)
                if says_something(compound):
                    self._leave(LeftoverKind.RTCP, datagram, peer, compound)
                return
            ssrc = _check_srtp(data, receiver.tag_bytes)
            known = peer.ssrcs.get(ssrc)
            if known is not None and known[0].is_shed:
                known[0].overflows = -1
                self._tally.drop(Drop.SHED)
                return
            packet = receiver.unprotect(data, ssrc)
        except SrtpError as error:
            self._tally.drop(error.reason)
            return
        peer.last_activity = max(peer.last_activity, datagram.arrival)
        try:
            header = rtp.parse_header(packet)
        except ValueError:
            self._tally.drop(Drop.MALFORMED)
            return
        if known is None:
            self._leave(LeftoverKind.UNKNOWN_SSRC, datagram, peer, packet)
        else:
            self._take(Received(datagram, packet, header, *known), peer)

    def tell(self) -> None:
        """Put the summaries of feedback into the result, once the complete batch has been received."""
        for peer, arrival in self._told.items():
            if peer.sender.analyser is not None:
                self._result.observed.append(Observed(peer.number, peer.sender.analyser.tell(arrival), arrival))
        self._told.clear()

    def _fold(self, peer: Peer, compound: bytes, arrival: int) -> bytes:
        """Handle unremarkable feedback and reports of a compound packet, if enabled; return the rest."""
        analyser, folds = peer.sender.analyser, peer.sender.folds
        if analyser is None or not folds or not analyser.may_fold(arrival):
            return compound
        packets = packets_of(compound)
        if packets is None:
            return compound
        left = b""
        for packet in packets:
            feedback = transport_feedback_of(packet)
            if feedback is None:
                blocks = rtcp.reports_alone(packet)
                left += b"" if blocks and analyser.fold_report(blocks, arrival, folds) else packet
            elif analyser.fold(feedback, arrival, folds) or peer in self._told:
                self._told[peer] = arrival
        return left

    def _take(self, received: Received, peer: Peer) -> None:
        """Take a packet of a registered stream."""
        header, arrival = received.header, received.datagram.arrival
        kept = {}
        for identifier, value in header.extensions:
            name = peer.extensions.get(identifier)
            if name in _KEPT and value:
                kept[name] = value
        transport = kept.pop(Extension.TRANSPORT_SEQ, b"")
        sent = kept.pop(Extension.ABS_SEND_TIME, b"")
        size = len(received.data)
        level = kept.get(Extension.AUDIO_LEVEL)
        if level is not None:
            received.stream.progress.hear(level[0] & 0x7F, level[0] & 0x80 != 0, arrival)
        ours = self._admit(received, kept)
        if peer.acknowledger is not None and len(transport) >= 2:
            transport_seq = int.from_bytes(transport[:2], "big")
            stamp = int.from_bytes(sent, "big") if len(sent) == 3 else None
            ssrc = received.stream.entry.ssrc
            peer.acknowledger.received(transport_seq, arrival, ssrc, ours=ours, stamp=stamp, size=size)

    def _admit(self, received: Received, passed: dict[Extension, bytes]) -> bool:
        """Number a packet, and cache it if it is new. Return whether it is the first after a loss of our own."""
        header, stream, data = received.header, received.stream, received.data
        payload = data[header.payload_offset : header.payload_end]
        payload_type, seq, flags = header.payload_type, header.seq, ArrivalFlag(0)
        if received.is_rtx:
            flags = ArrivalFlag.REPAIRED
            repairs = _repairs(stream, payload_type)
            if repairs is None:
                self._tally.drop(Drop.UNMAPPED_PAYLOAD_TYPE)
            if repairs is None or len(payload) < 2:  # padding repairs nothing
                return False
            seq = int.from_bytes(payload[:2], "big")
            payload, payload_type = payload[2:], repairs
            data = _undo_rtx(data, header, payload_type, stream.entry.ssrc)
        if not payload:
            flags |= ArrivalFlag.PADDING
        ext_seq = stream.unwrap(seq)
        refusal = stream.refusal(ext_seq)
        if refusal is not None:
            self._tally.drop(refusal)
            return False
        original = Original(
            data,
            header.payload_offset,
            payload_type,
            payload,
            header.timestamp,
            header.marker,
            header.padding > 0,
            received.datagram.arrival,
        )
        size, packet = self._keep(stream, original, ext_seq, passed)
        self._arrived(stream, packet, size, flags)
        return packet.closes

    def _keep(
        self, stream: RoutedStream, original: Original, ext_seq: int, passed: dict[Extension, bytes]
    ) -> tuple[int, Packet]:
        """Cache a new packet for its receivers; one that may not pass is kept empty, to hold its number.

        Returns its size without redundancy, and the cached packet.
        """
        entry = stream.payloads.get(original.payload_type)
        refusal = None
        if not stream.permitted:
            refusal = Drop.NOT_PERMITTED
        elif entry is not None and entry.codec is Codec.RED and original.payload:
            original, refusal = self._open(stream, original, ext_seq)
            entry = stream.payloads.get(original.payload_type)
        elif entry is None or entry.codec is Codec.RTX:
            refusal = Drop.UNMAPPED_PAYLOAD_TYPE
        if refusal is not None:
            self._tally.drop(refusal)
        packet = Packet(
            ext_seq,
            arrival=original.arrival,
            timestamp=original.timestamp,
            marker=original.marker,
            payload_type=original.payload_type,
            codec=entry.codec if entry is not None else Codec.RTX,
            payload=original.payload if refusal is None else b"",
            passed=passed,
            is_padded=original.is_padded,
        )
        if packet.codec is Codec.AV1 and packet.payload and Extension.DEPENDENCY_DESCRIPTOR in passed:
            stream.describe(packet, passed[Extension.DEPENDENCY_DESCRIPTOR])
        self._put(stream, packet, original.data if refusal is None else None)
        return len(original.data), packet

    def _open(self, stream: RoutedStream, original: Original, ext_seq: int) -> tuple[Original, Drop | None]:
        """Return the primary packet of a RED packet, and the reason if it may not pass; recover lost packets before
        it.
        """
        payload = original.payload
        try:
            blocks = red.parse(payload)
        except ValueError:
            return original, Drop.MALFORMED
        for position, timestamp, block in missing(stream, ext_seq, original.timestamp, blocks):
            self._recover(stream, original, position, timestamp, block)
        primary = blocks[-1]
        second = primary.payload_type | (0x80 if original.marker else 0)
        header = original.data[: original.header_bytes]
        payload = payload[primary.start :]
        data = bytes([header[0] & ~0x20, second]) + header[2:] + payload
        original = original._replace(data=data, payload_type=primary.payload_type, payload=payload, is_padded=False)
        return original, None if is_plain(stream.payloads, primary) else Drop.UNMAPPED_PAYLOAD_TYPE

    def _recover(self, stream: RoutedStream, later: Original, ext_seq: int, timestamp: int, block: red.Block) -> None:
        """Take a lost packet from a later packet's redundancy."""
        entry, payload_type, arrival = stream.entry, block.payload_type, later.arrival
        payload = later.payload[block.start : block.end]
        data = rtp.build_header(payload_type, False, ext_seq & 0xFFFF, timestamp, entry.ssrc) + payload
        packet = Packet(
            ext_seq,
            arrival=arrival,
            timestamp=timestamp,
            marker=False,
            payload_type=payload_type,
            codec=stream.payloads[payload_type].codec,
            payload=payload,
            passed={},
        )
        self._put(stream, packet, data)
        self._tally.recovered += 1
        self._arrived(stream, packet, len(data), ArrivalFlag.RECOVERED)

    def _arrived(self, stream: RoutedStream, packet: Packet, size: int, flags: ArrivalFlag) -> None:
        """Count a new packet of `size` bytes, and report it if policy may have to react at once."""
        self._tally.packets_in += 1
        entry, payload = stream.entry, stream.payloads.get(packet.payload_type)
        if not stream.progress.packets or packet.arrival - stream.progress.last_arrival >= RESUMED_NS:
            flags |= ArrivalFlag.RESUMED
        stream.progress.take(
            packet.ext_seq,
            packet.arrival,
            packet.timestamp,
            size,
            clock_rate=payload.clock_rate if payload is not None else 0,
            repaired=bool(flags & (ArrivalFlag.REPAIRED | ArrivalFlag.RECOVERED)),
            keyframe=packet.is_keyframe,
            padding=bool(flags & ArrivalFlag.PADDING),
            ours=packet.gap if packet.closes else 0,
            temporal=packet.temporal,
        )
        if packet.is_keyframe and not stream.is_audio:
            flags |= ArrivalFlag.KEYFRAME
        if packet.closes:
            flags |= ArrivalFlag.OVERFLOWED
        if packet.gap or packet.is_late or flags & _TOLD:
            self._result.arrivals.append(
                Arrival(
                    entry.peer, entry.stream, packet.ext_seq, packet.gap, packet.arrival, packet.timestamp, size, flags
                )
            )

    def _put(self, stream: RoutedStream, packet: Packet, data: bytes | None) -> None:
        """Cache a packet and have it forwarded; `data` is the packet for sinks, None for none."""
        stream.put(packet, self._tally.overflows)
        self.runs.setdefault(stream, []).append(packet)
        if data is not None:
            for sink, handle in stream.sinks:
                self._result.sink_packets.append(
                    SinkPacket(sink, handle, stream.entry.stream, packet.ext_seq, packet.arrival, data)
                )

    def _leave(self, kind: LeftoverKind, datagram: Datagram, peer: Peer | None, data: bytes) -> None:
        number = peer.number if peer is not None else -1
        self._result.leftovers.append(Leftover(kind, number, data, datagram.source, datagram.local, datagram.arrival))


def _check_srtp(data: bytes, tag_bytes: int) -> int:
    """Return the SSRC of a protected RTP packet with a complete header; raises SrtpError otherwise."""
    size = len(data) - tag_bytes
    offset = rtp.HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10 and offset + 4 <= size:
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
    elif data[0] & 0x10:
        offset += 4
    if offset > size or len(data) > MAX_PACKET_BYTES:
        raise SrtpError(Drop.MALFORMED)
    return int.from_bytes(data[8:12], "big")


def _repairs(stream: RoutedStream, payload_type: int) -> int | None:
    """Return the payload type that an RTX payload type repairs."""
    entry = stream.payloads.get(payload_type)
    if entry is None or entry.codec is not Codec.RTX or entry.repairs not in stream.payloads:
        return None
    return entry.repairs


def _undo_rtx(data: bytes, header: rtp.RtpHeader, payload_type: int, ssrc: int) -> bytes:
    """Return the original packet (RFC 4588, section 4): fields changed by RTX are restored, padding is kept."""
    offset = header.payload_offset
    second = payload_type | (0x80 if header.marker else 0)
    seq = data[offset : offset + 2]
    return b"".join(
        (data[:1], bytes([second]), seq, data[4:8], ssrc.to_bytes(4, "big"), data[12:offset], data[offset + 2 :])
    )
