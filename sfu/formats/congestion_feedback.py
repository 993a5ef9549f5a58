"""RTP congestion control feedback (RFC 8888, section 3.1): arrivals of each SSRC, with ECN marks and times.

A report block about more than 16384 packets is refused, since the RFC does not allow receivers to send one.
"""

import struct
from dataclasses import dataclass

MAX_PACKETS = 16384

_BLOCK = struct.Struct("!IHH")
_OFFSET_UNAVAILABLE = 0x1FFF
_OFFSET_TOO_OLD = 0x1FFE


@dataclass(frozen=True, slots=True)
class PacketArrival:
    """A packet that arrived: `ecn` is as in RFC 3168, `offset` the time before the report in 1/1024 s.

    `offset` is None if it is unknown or exceeds the field.
    """

    ecn: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class StreamArrivals:
    """A report block. `packets[i]` is that of seq `base_seq + i` (mod 2**16) of `ssrc`, None if it has not arrived."""

    ssrc: int
    base_seq: int
    packets: tuple[PacketArrival | None, ...]


@dataclass(frozen=True, slots=True)
class CongestionFeedback:
    """A report. `timestamp` is its time on the reporter's clock, the middle 32 bits of an NTP time (16.16 s)."""

    sender_ssrc: int
    timestamp: int
    streams: tuple[StreamArrivals, ...]


def parse_congestion_feedback(body: bytes) -> CongestionFeedback:
    """Parse the bytes after the four-byte RTCP header, without padding; raises ValueError."""
    if len(body) < 8 or len(body) % 4:
        raise ValueError("congestion feedback is truncated")
    end = len(body) - 4
    streams = []
    offset = 4
    while offset < end:
        if offset + _BLOCK.size > end:
            raise ValueError("congestion feedback block is truncated")
        ssrc, base_seq, count = _BLOCK.unpack_from(body, offset)
        offset += _BLOCK.size
        if count > MAX_PACKETS or offset + 2 * count > end:
            raise ValueError("congestion feedback block declares more packets than it has")
        metrics = struct.unpack_from(f"!{count}H", body, offset)
        streams.append(StreamArrivals(ssrc, base_seq, tuple(_parse_metric(metric) for metric in metrics)))
        offset += 2 * (count + count % 2)
    return CongestionFeedback(int.from_bytes(body[:4], "big"), int.from_bytes(body[-4:], "big"), tuple(streams))


def _parse_metric(metric: int) -> PacketArrival | None:
    if not metric & 0x8000:
        return None
    offset = metric & 0x1FFF
    return PacketArrival(metric >> 13 & 3, None if offset >= _OFFSET_TOO_OLD else offset)


def write_congestion_feedback(feedback: CongestionFeedback) -> bytes:
    """Return the bytes after the RTCP header; raises ValueError if a field does not fit."""
    body = bytearray()
    try:
        body += feedback.sender_ssrc.to_bytes(4, "big")
        for stream in feedback.streams:
            if len(stream.packets) > MAX_PACKETS:
                raise ValueError("congestion feedback block is about too many packets")
            body += _BLOCK.pack(stream.ssrc, stream.base_seq, len(stream.packets))
            for packet in stream.packets:
                body += _write_metric(packet).to_bytes(2, "big")
            body += bytes(2 * (len(stream.packets) % 2))
        body += feedback.timestamp.to_bytes(4, "big")
    except (struct.error, OverflowError) as error:
        raise ValueError("congestion feedback field does not fit") from error
    return bytes(body)


def _write_metric(packet: PacketArrival | None) -> int:
    if packet is None:
        return 0
    offset = _OFFSET_UNAVAILABLE if packet.offset is None else packet.offset
    if not 0 <= packet.ecn <= 3 or not 0 <= offset <= _OFFSET_UNAVAILABLE:
        raise ValueError("congestion feedback field does not fit")
    return 0x8000 | packet.ecn << 13 | offset
