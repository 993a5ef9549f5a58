"""RTCP (RFC 3550, section 6), compound or reduced-size (RFC 5506), with the feedback messages of RFC 4585, 5104, 8888.

`parse` reads a datagram into values, `serialize` writes them. Packet types and feedback formats that the sfu does not
use (XR, APP, ...) are returned as `Unknown`, so that they do not invalidate the rest of a compound packet. A length
that runs past the datagram, or a packet too short for its counts, raises ValueError.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sfu.formats.congestion_feedback import (
    CongestionFeedback,
    parse_congestion_feedback,
    write_congestion_feedback,
)
from sfu.formats.rtcp_feedback import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimate,
    is_receiver_estimate,
    parse_full_intra,
    parse_nack,
    parse_picture_loss,
    parse_receiver_estimate,
    write_full_intra,
    write_nack,
    write_picture_loss,
    write_receiver_estimate,
)
from sfu.formats.transport_feedback import TransportFeedback, parse_body, write_body

__all__ = [
    "Bye",
    "CongestionFeedback",
    "FullIntraRequest",
    "Nack",
    "Packet",
    "PictureLoss",
    "ReceiverEstimate",
    "ReceiverReport",
    "ReportBlock",
    "SenderReport",
    "SourceDescription",
    "TransportFeedback",
    "Unknown",
    "has_reports_only",
    "parse",
    "reports_alone",
    "sender_report_alone",
    "serialize",
]

_SR, _RR, _SDES, _BYE, _RTPFB, _PSFB = 200, 201, 202, 203, 205, 206
_NACK, _CONGESTION, _TRANSPORT_CC, _PLI, _FIR, _APPLICATION = 1, 11, 15, 1, 4, 15
_CNAME = 1
_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IB3sIIII")
_LONE_REPORT_BYTES = _HEADER.size + _SENDER_INFO.size
_LONE_REPORT = _HEADER.pack(0x80, _SR, _LONE_REPORT_BYTES // 4 - 1)
_DESCRIPTIONS_KEPT = 4096


class ReportBlock(NamedTuple):
    """A report block (RFC 3550, section 6.4.1): `fraction_lost` in 1/256, `packets_lost` signed 24-bit, `jitter` in
    clock units.

    `highest_seq` is 32-bit: cycles and seq. `last_report` is the middle 32 bits of the last SR's NTP time, `delay` the
    time since its arrival in 1/65536 s; both are 0 without an SR.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_seq: int
    jitter: int
    last_report: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A sender report. `ntp` is the NTP time (32.32) on the sender's clock when its RTP clock was at
    `rtp_timestamp`.
    """

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """A source description: (SSRC, CNAME) of each chunk, with "" if a chunk has no CNAME. Other items are ignored."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Any other packet. `count` is the header's five-bit field; `body` follows the four-byte header."""

    packet_type: int
    count: int
    body: bytes


Packet = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | Nack
    | PictureLoss
    | FullIntraRequest
    | ReceiverEstimate
    | TransportFeedback
    | CongestionFeedback
    | Unknown
)


def parse(data: bytes) -> list[Packet]:
    """Return the packets of an RTCP datagram, one or more; raises ValueError."""
    packets = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise ValueError("RTCP packet shorter than its header")
        first, packet_type, words = _HEADER.unpack_from(data, offset)
        end = offset + 4 * (words + 1)
        if first >> 6 != 2:
            raise ValueError("RTCP version is not 2")
        if end > len(data):
            raise ValueError("RTCP length runs past the datagram")
        body_end = end
        if first & 0x20:
            body_end -= data[end - 1]
            if not offset + _HEADER.size <= body_end < end:
                raise ValueError("RTCP padding length is not within the packet")
        packets.append(_parse_packet(packet_type, first & 0x1F, bytes(data[offset + _HEADER.size : body_end])))
        offset = end
    if not packets:
        raise ValueError("RTCP datagram is empty")
    return packets


def has_reports_only(data: bytes) -> bool:
    """Return True if a datagram consists, by types and lengths, of reports and source descriptions."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        if not _SR <= data[offset + 1] <= _SDES:
            return False
        offset += 4 * (int.from_bytes(data[offset + 2 : offset + 4], "big") + 1)
    return True


def sender_report_alone(data: bytes) -> SenderReport | None:
    """Return the report of a datagram that consists of a sender report without blocks, alone or followed by a source
    description.

    It is the one that `parse` would return, in less time, since every publisher sends this all the time. Returns None
    for anything else, malformed or not.
    """
    if data[:4] != _LONE_REPORT or len(data) < _LONE_REPORT_BYTES:
        return None
    if len(data) > _LONE_REPORT_BYTES and not _is_description(data[_LONE_REPORT_BYTES:]):
        return None
    return SenderReport(*_SENDER_INFO.unpack_from(data, _HEADER.size))


@lru_cache(maxsize=_DESCRIPTIONS_KEPT)
def _is_description(data: bytes) -> bool:
    """Return True if this is a source description and nothing else. Senders repeat theirs all the time."""
    try:
        (packet,) = parse(data)
    except ValueError:
        return False
    return isinstance(packet, SourceDescription)


def reports_alone(data: bytes) -> list[ReportBlock] | None:
    """Return the blocks of a datagram that consists of a receiver report, alone or followed by a source description.

    The blocks are those that `parse` would return, in less time, since every receiver sends this all the time. Returns
    None for anything else, malformed or not.
    """
    size = len(data)
    if size < 8 or data[1] != _RR or data[0] >> 5 != 4:
        return None
    end = 4 * (int.from_bytes(data[2:4], "big") + 1)
    blocks_end = 8 + (data[0] & 0x1F) * _BLOCK.size
    if blocks_end > end:
        return None
    if end != size and not _is_description(data[end:]):
        return None
    return _blocks(data[8:blocks_end])


def _parse_packet(packet_type: int, count: int, body: bytes) -> Packet:
    if parse_counted := _COUNTED.get(packet_type):
        return parse_counted(body, count)
    if parse_feedback := _FEEDBACK.get((packet_type, count)):
        return parse_feedback(body)
    if (packet_type, count) == (_PSFB, _APPLICATION) and is_receiver_estimate(body):
        return parse_receiver_estimate(body)
    return Unknown(packet_type, count, body)


def _parse_sender_report(body: bytes, count: int) -> SenderReport:
    if len(body) < _SENDER_INFO.size:
        raise ValueError("RTCP sender report is truncated")
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
    return SenderReport(ssrc, ntp, rtp_timestamp, packets, octets, _parse_blocks(body, _SENDER_INFO.size, count))


def _parse_receiver_report(body: bytes, count: int) -> ReceiverReport:
    if len(body) < 4:
        raise ValueError("RTCP receiver report is truncated")
    return ReceiverReport(int.from_bytes(body[:4], "big"), _parse_blocks(body, 4, count))


def _parse_blocks(body: bytes, offset: int, count: int) -> tuple[ReportBlock, ...]:
    end = offset + count * _BLOCK.size
    if end > len(body):
        raise ValueError("RTCP report has fewer blocks than it declares")
    return tuple(_blocks(body[offset:end]))


def _blocks(data: bytes) -> list[ReportBlock]:
    return [
        ReportBlock(ssrc, fraction, int.from_bytes(lost, "big", signed=True), highest, jitter, last, delay)
        for ssrc, fraction, lost, highest, jitter, last, delay in _BLOCK.iter_unpack(data)
    ]


def _parse_description(body: bytes, count: int) -> SourceDescription:
    cnames = []
    offset = 0
    for _ in range(count):
        if offset + 4 > len(body):
            raise ValueError("RTCP source description has fewer chunks than it declares")
        ssrc = int.from_bytes(body[offset : offset + 4], "big")
        cname, offset = _parse_chunk(body, offset + 4)
        cnames.append((ssrc, cname))
    return SourceDescription(tuple(cnames))


def _parse_chunk(body: bytes, offset: int) -> tuple[str, int]:
    """Return the CNAME of the items at `offset`, and the offset of the next chunk."""
    cname = ""
    while offset < len(body) and body[offset]:
        if offset + 2 > len(body) or offset + 2 + body[offset + 1] > len(body):
            raise ValueError("RTCP source description item runs past the packet")
        item, end = body[offset], offset + 2 + body[offset + 1]
        if item == _CNAME:
            cname = body[offset + 2 : end].decode("utf-8", "replace")
        offset = end
    if offset == len(body):
        raise ValueError("RTCP source description chunk has no end")
    return cname, (offset // 4 + 1) * 4


def _parse_bye(body: bytes, count: int) -> Bye:
    end = 4 * count
    if end > len(body):
        raise ValueError("RTCP BYE has fewer SSRCs than it declares")
    reason = ""
    if end < len(body):
        stop = end + 1 + body[end]
        if stop > len(body):
            raise ValueError("RTCP BYE reason runs past the packet")
        reason = body[end + 1 : stop].decode("utf-8", "replace")
    return Bye(struct.unpack_from(f"!{count}I", body), reason)


_COUNTED: dict[int, Callable[[bytes, int], Packet]] = {
    _SR: _parse_sender_report,
    _RR: _parse_receiver_report,
    _SDES: _parse_description,
    _BYE: _parse_bye,
}
_FEEDBACK: dict[tuple[int, int], Callable[[bytes], Packet]] = {
    (_RTPFB, _NACK): parse_nack,
    (_RTPFB, _CONGESTION): parse_congestion_feedback,
    (_RTPFB, _TRANSPORT_CC): parse_body,
    (_PSFB, _PLI): parse_picture_loss,
    (_PSFB, _FIR): parse_full_intra,
}


def serialize_within(packets: Iterable[Packet], limit: int = 1200) -> list[bytes]:
    """Return datagrams of at most `limit` bytes, with packets in order; a longer packet gets its own datagram.

    A report and the source description after it stay together. Raises ValueError if a field does not fit.
    """
    pieces: list[bytes] = []
    joins = False
    for packet in packets:
        data = serialize([packet])
        if joins:
            pieces[-1] += data
        else:
            pieces.append(data)
        joins = isinstance(packet, SenderReport | ReceiverReport)
    datagrams: list[bytes] = []
    for piece in pieces:
        if datagrams and len(datagrams[-1]) + len(piece) <= limit:
            datagrams[-1] += piece
        else:
            datagrams.append(piece)
    return datagrams


def serialize(packets: Iterable[Packet]) -> bytes:
    """Return one datagram of the packets in order; raises ValueError if a field does not fit."""
    try:
        return b"".join(_write_packet(packet) for packet in packets)
    except (struct.error, OverflowError) as error:
        raise ValueError("RTCP field does not fit") from error


def _write_packet(packet: Packet) -> bytes:
    padding = 0
    match packet:
        case SenderReport():
            info = _SENDER_INFO.pack(packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packets, packet.octets)
            packet_type, count, body = _SR, len(packet.reports), info + _write_blocks(packet.reports)
        case ReceiverReport():
            body = packet.ssrc.to_bytes(4, "big") + _write_blocks(packet.reports)
            packet_type, count = _RR, len(packet.reports)
        case SourceDescription():
            body = b"".join(_write_chunk(ssrc, cname) for ssrc, cname in packet.cnames)
            packet_type, count = _SDES, len(packet.cnames)
        case Bye():
            packet_type, count, body = _BYE, len(packet.ssrcs), _write_bye(packet)
        case Nack():
            packet_type, count, body = _RTPFB, _NACK, write_nack(packet)
        case TransportFeedback():
            packet_type, count = _RTPFB, _TRANSPORT_CC
            body, padding = write_body(packet)
        case CongestionFeedback():
            packet_type, count, body = _RTPFB, _CONGESTION, write_congestion_feedback(packet)
        case PictureLoss():
            packet_type, count, body = _PSFB, _PLI, write_picture_loss(packet)
        case FullIntraRequest():
            packet_type, count, body = _PSFB, _FIR, write_full_intra(packet)
        case ReceiverEstimate():
            packet_type, count, body = _PSFB, _APPLICATION, write_receiver_estimate(packet)
        case Unknown():
            packet_type, count, body = packet.packet_type, packet.count, packet.body
    if count > 31 or len(body) % 4:
        raise ValueError("RTCP packet does not fit")
    return _HEADER.pack(0x80 | (0x20 if padding else 0) | count, packet_type, len(body) // 4) + body


def _write_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost,
            block.packets_lost.to_bytes(3, "big", signed=True),
            block.highest_seq,
            block.jitter,
            block.last_report,
            block.delay,
        )
        for block in blocks
    )


def _write_chunk(ssrc: int, cname: str) -> bytes:
    text = cname.encode()
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(text)) + text if text else struct.pack("!I", ssrc)
    return chunk + bytes(4 - len(chunk) % 4)


def _write_bye(bye: Bye) -> bytes:
    body = struct.pack(f"!{len(bye.ssrcs)}I", *bye.ssrcs)
    if bye.reason:
        text = bye.reason.encode()
        body += struct.pack("!B", len(text)) + text
        body += bytes(-len(body) % 4)
    return body
