"""RTP packets (RFC 3550, section 5.1), their header extensions in place (RFC 8285), and RTX (RFC 4588, section 4).

`parse_header` is for the per-packet path: it checks every length and copies only extension values. `parse` adds the
payload. Padding that exceeds the payload is refused, as is a padding count of zero.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sfu.formats.header_extensions import parse_block, write_block

_FIXED = struct.Struct("!BBHII")
_WORDS = struct.Struct("!HH")
HEADER_BYTES = _FIXED.size


class RtpHeader(NamedTuple):
    """A packet's header. The payload is `data[payload_offset:payload_end]`; `padding` bytes follow it.

    `extensions` holds (id, value) in wire order, with ids from 1 to 255; blocks of an unknown profile count as absent.
    """

    payload_type: int
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    csrcs: tuple[int, ...]
    extensions: tuple[tuple[int, bytes], ...]
    payload_offset: int
    payload_end: int
    padding: int


class RtpPacket(NamedTuple):
    """A packet by value. `padding` is the number of padding bytes, including their count byte; 0 for none."""

    payload_type: int
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extensions: tuple[tuple[int, bytes], ...] = ()
    padding: int = 0


def is_rtcp(data: bytes) -> bool:
    """Return True if a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761, section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def parse_header(data: bytes) -> RtpHeader:
    """Return the header of an RTP packet; raises ValueError if it is invalid."""
    size = len(data)
    if size < HEADER_BYTES:
        raise ValueError("RTP packet shorter than its fixed header")
    first, second, seq, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise ValueError("RTP version is not 2")
    offset = HEADER_BYTES
    csrcs: tuple[int, ...] = ()
    if first & 0x0F:
        count = first & 0x0F
        if offset + 4 * count > size:
            raise ValueError("RTP CSRC list runs past the packet")
        csrcs = struct.unpack_from(f"!{count}I", data, offset)
        offset += 4 * count
    extensions: tuple[tuple[int, bytes], ...] = ()
    if first & 0x10:
        if offset + 4 > size:
            raise ValueError("RTP extension header runs past the packet")
        profile, words = _WORDS.unpack_from(data, offset)
        offset += 4
        end = offset + 4 * words
        if end > size:
            raise ValueError("RTP extension runs past the packet")
        extensions = parse_block(profile, data, offset, end)
        offset = end
    padding = 0
    if first & 0x20:
        padding = data[-1] if size > offset else 0
        if not 0 < padding <= size - offset:
            raise ValueError("RTP padding length is not within the payload")
    return RtpHeader(
        second & 0x7F, second > 0x7F, seq, timestamp, ssrc, csrcs, extensions, offset, size - padding, padding
    )


def content(data: bytes) -> tuple[int, bool, int, int]:
    """Return a packet's timestamp, its marker, and where its payload begins and ends; extensions are skipped unread.

    Raises ValueError if the packet is invalid.
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise ValueError("RTP packet shorter than its fixed header")
    first, second, _, timestamp, _ = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise ValueError("RTP version is not 2")
    offset = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if offset + 4 > size:
            raise ValueError("RTP extension header runs past the packet")
        offset += 4 + 4 * (data[offset + 2] << 8 | data[offset + 3])
    if offset > size:
        raise ValueError("the header of an RTP packet runs past it")
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= size - offset:
            raise ValueError("RTP padding length is not within the payload")
        size -= padding
    return timestamp, second > 0x7F, offset, size


def parse(data: bytes) -> RtpPacket:
    """Return an RTP packet by value; raises ValueError if it is invalid."""
    header = parse_header(data)
    return RtpPacket(
        header.payload_type,
        header.seq,
        header.timestamp,
        header.ssrc,
        bytes(data[header.payload_offset : header.payload_end]),
        header.marker,
        header.csrcs,
        header.extensions,
        header.padding,
    )


def build_header(
    payload_type: int,
    marker: bool,
    seq: int,
    timestamp: int,
    ssrc: int,
    *,
    extension_block: bytes = b"",
    csrcs: Sequence[int] = (),
    padded: bool = False,
) -> bytes:
    """Return an RTP header. `extension_block` is a result of `header_extensions.write_block`, or empty.

    Raises ValueError if a field does not fit.
    """
    first = 0x80 | len(csrcs)
    if extension_block:
        first |= 0x10
    if padded:
        first |= 0x20
    if len(csrcs) > 15 or not 0 <= payload_type <= 127:
        raise ValueError("RTP payload type or number of CSRCs does not fit")
    try:
        header = _FIXED.pack(first, payload_type | 0x80 if marker else payload_type, seq, timestamp, ssrc)
        if csrcs:
            header += struct.pack(f"!{len(csrcs)}I", *csrcs)
    except struct.error as error:
        raise ValueError("RTP header field does not fit") from error
    return header + extension_block


def serialize(packet: RtpPacket) -> bytes:
    """Return the packet's bytes, including padding; raises ValueError if a field does not fit."""
    header = build_header(
        packet.payload_type,
        packet.marker,
        packet.seq,
        packet.timestamp,
        packet.ssrc,
        extension_block=write_block(packet.extensions),
        csrcs=packet.csrcs,
        padded=packet.padding > 0,
    )
    if not 0 <= packet.padding <= 255:
        raise ValueError("RTP padding does not fit")
    if packet.padding:
        return header + packet.payload + bytes(packet.padding - 1) + bytes([packet.padding])
    return header + packet.payload


def wrap_rtx(
    packet: RtpPacket, payload_type: int, ssrc: int, seq: int, extensions: Iterable[tuple[int, bytes]] | None = None
) -> RtpPacket:
    """Return the retransmission of `packet` on the RTX stream `ssrc`, with its extensions unless others are given."""
    return packet._replace(
        payload_type=payload_type,
        ssrc=ssrc,
        seq=seq,
        payload=packet.seq.to_bytes(2, "big") + packet.payload,
        extensions=packet.extensions if extensions is None else tuple(extensions),
        padding=0,
    )


def unwrap_rtx(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket:
    """Return the original of a retransmission; raises ValueError if it has no original seq, as padding probes."""
    if len(packet.payload) < 2:
        raise ValueError("RTX payload has no original sequence number")
    return packet._replace(
        payload_type=payload_type,
        ssrc=ssrc,
        seq=int.from_bytes(packet.payload[:2], "big"),
        payload=packet.payload[2:],
        padding=0,
    )
