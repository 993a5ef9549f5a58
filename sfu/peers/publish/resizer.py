"""Cuts packets of a plain transport that are too large for others' links, before the engine sees them.

Software such as FFmpeg fills packets of 1,472 bytes. Once forwarded, they are larger than many links carry
unfragmented. Only plain RTP can be cut here, since only the engine can read SRTP; browsers send small packets anyway.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sfu.engine.contract import Datagram, Drop
from sfu.formats import rtcp
from sfu.formats.codecs import Codec
from sfu.formats.rtp import HEADER_BYTES, is_rtcp, parse_header
from sfu.formats.split import split_packet
from sfu.machines.split_numbers import SplitNumbers

MAX_PACKET_BYTES = 1200
"""The maximum size of RTP packets; larger ones are cut."""
_MAX_STREAMS = 32
_PADDED = 0x20


class Resizer:
    """`codecs` maps payload types to video codecs, `repairs` those of RTX (RFC 4588) to the payload types they repair.

    RTX is unwrapped: a retransmitted packet is cut as the original was. `counters` and `drops` are the
    node's.
    """

    def __init__(
        self, codecs: Mapping[int, Codec], repairs: Mapping[int, int], counters: Counter[str], drops: Counter[Drop]
    ) -> None:
        self._counters = counters
        self._drops = drops
        self._codecs = codecs
        self._repairs = repairs
        self._numbers: dict[int, SplitNumbers] = {}
        self._newest: dict[int, int] = {}  # SSRC by payload type

    def resize(self, datagrams: Iterable[Datagram]) -> list[Datagram]:
        """Return the datagrams for the engine."""
        return [
            datagram if data is datagram.data else datagram._replace(data=data)
            for datagram in datagrams
            for data in self._resize(datagram.data)
        ]

    def to_sender(self, packet: rtcp.Packet) -> rtcp.Packet:
        """Return an RTCP packet with the sender's own sequence numbers."""
        match packet:
            case rtcp.Nack(media_ssrc=ssrc, seqs=seqs) if ssrc in self._numbers:
                original = self._numbers[ssrc].original
                return dataclasses.replace(packet, seqs=tuple(dict.fromkeys(original(seq) for seq in seqs)))
            case rtcp.ReceiverReport():
                return dataclasses.replace(packet, reports=tuple(self._block(block) for block in packet.reports))
        return packet

    def _block(self, block: rtcp.ReportBlock) -> rtcp.ReportBlock:
        numbers = self._numbers.get(block.ssrc)
        return block if numbers is None else block._replace(highest_seq=numbers.newest)

    def _resize(self, data: bytes) -> Sequence[bytes]:
        if len(data) < HEADER_BYTES or is_rtcp(data):
            return (data,)
        payload_type = data[1] & 0x7F
        if payload_type in self._repairs:
            return self._repeated(data, self._repairs[payload_type])
        if payload_type not in self._codecs:
            return (data,)
        self._newest[payload_type] = int.from_bytes(data[8:12], "big")
        return self._cut(data, payload_type)

    def _cut(self, data: bytes, payload_type: int) -> Sequence[bytes]:
        parts = [data]
        if len(data) > MAX_PACKET_BYTES:
            with contextlib.suppress(ValueError):  # the engine counts why it is invalid
                parts = split_packet(self._codecs[payload_type], data, MAX_PACKET_BYTES)
        numbers = self._numbers_of(int.from_bytes(data[8:12], "big"))
        seq = int.from_bytes(data[2:4], "big")
        first = numbers.number(seq, len(parts))
        if first is None:  # too late: later packets have its numbers
            parts = [data]
            first = numbers.number(seq, 1)
        if first is None:
            self._drops[Drop.TOO_LATE] += 1
            return ()
        if len(parts) > 1:
            self._counters["packets_split"] += 1
        return [part[:2] + (first + index & 0xFFFF).to_bytes(2, "big") + part[4:] for index, part in enumerate(parts)]

    def _numbers_of(self, ssrc: int) -> SplitNumbers:
        """Return the numbering of a stream; that of a new stream may replace the oldest."""
        if ssrc not in self._numbers:
            if len(self._numbers) >= _MAX_STREAMS:
                del self._numbers[next(iter(self._numbers))]
            self._numbers[ssrc] = SplitNumbers()
        return self._numbers[ssrc]

    def _repeated(self, data: bytes, payload_type: int) -> Sequence[bytes]:
        """Return the packet that an RTX packet repeats, cut; nothing if it is unknown."""
        ssrc = self._newest.get(payload_type)
        if ssrc is None:
            self._drops[Drop.UNKNOWN_SSRC] += 1
            return ()
        try:
            header = parse_header(data)
        except ValueError:
            self._drops[Drop.MALFORMED] += 1
            return ()
        payload = data[header.payload_offset : header.payload_end]
        if len(payload) <= 2:  # padding that probes the link
            return ()
        second = data[1] & 0x80 | payload_type
        head = bytes([data[0] & ~_PADDED, second]) + payload[:2] + data[4:8] + ssrc.to_bytes(4, "big")
        return self._cut(head + data[HEADER_BYTES : header.payload_offset] + payload[2:], payload_type)
