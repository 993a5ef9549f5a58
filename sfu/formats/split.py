"""RTP packets cut into smaller ones, where the payload's format allows it: H264, VP8, VP9 and AV1.

A link carries 1,500 bytes, minus the overhead of tunnels and TURN. It fragments or loses larger packets.
"""

from sfu.formats import av1, h264, vp8, vp9
from sfu.formats.codecs import Codec
from sfu.formats.packetize import even_parts, fragments, pack_elements, pack_units
from sfu.formats.rtp import RtpHeader, parse_header

_VP8_START = 0x10
_VP9_START, _VP9_END, _VP9_STRUCTURE = 0x08, 0x04, 0x02
_PADDED = 0x20
_MARKER = 0x80


def split_payload(codec: Codec, payload: bytes, max_bytes: int) -> list[bytes]:
    """Return equivalent payloads of at most `max_bytes`, in order, or the given one if it cannot be cut.

    Raises ValueError for a payload that does not parse.
    """
    if len(payload) <= max_bytes:
        return [payload]
    match codec:
        case Codec.H264:
            return _split_h264(payload, max_bytes)
        case Codec.VP8:
            return _split_vp8(payload, max_bytes)
        case Codec.VP9:
            return _split_vp9(payload, max_bytes)
        case Codec.AV1:
            return pack_elements(av1.parse(payload), max_bytes)
    return [payload]


def _split_h264(payload: bytes, max_bytes: int) -> list[bytes]:
    """Cut NAL units into FU-A, and fragments into smaller ones (RFC 6184, section 5.8)."""
    units = h264.parse(payload)
    if payload[0] & 0x1F == h264.FU_A:
        header = payload[0] & 0xE0 | payload[1] & 0x1F
        return fragments(header, payload[2:], max_bytes, start=units[0].start, end=units[0].end)
    return pack_units((unit.data for unit in units), max_bytes)


def _split_vp8(payload: bytes, max_bytes: int) -> list[bytes]:
    """Repeat the descriptor; only the first part begins the partition (RFC 7741, section 4.2)."""
    size = vp8.parse(payload).size
    first, rest = payload[:size], bytes([payload[0] & ~_VP8_START]) + payload[1:size]
    parts = even_parts(payload[size:], max_bytes - size)
    return [(rest if index else first) + part for index, part in enumerate(parts)]


def _split_vp9(payload: bytes, max_bytes: int) -> list[bytes]:
    """Repeat the descriptor; the first part begins the layer frame and carries its structure, the last part ends it."""
    size = vp9.parse(payload).size
    bare = bytes([payload[0] & ~(_VP9_START | _VP9_STRUCTURE)]) + payload[1:]
    bare_size = vp9.parse(bare).size
    parts = even_parts(payload[size:], max_bytes - size)
    split = []
    for index, part in enumerate(parts):
        descriptor = bytearray(bare[:bare_size] if index else payload[:size])
        if index < len(parts) - 1:
            descriptor[0] &= ~_VP9_END
        split.append(bytes(descriptor) + part)
    return split


def split_packet(codec: Codec, data: bytes, max_bytes: int) -> list[bytes]:
    """Return RTP packets of at most `max_bytes` in place of one, all with its sequence number; raises ValueError.

    The last one has the marker, all have the header extensions; padding is left out.
    """
    header = parse_header(data)
    payload = data[header.payload_offset : header.payload_end]
    payloads = split_payload(codec, payload, max_bytes - header.payload_offset)
    return [_packet(header, data, part, index == len(payloads) - 1) for index, part in enumerate(payloads)]


def _packet(header: RtpHeader, data: bytes, payload: bytes, is_last: bool) -> bytes:
    second = data[1] if is_last else data[1] & ~_MARKER
    return bytes([data[0] & ~_PADDED, second]) + data[2 : header.payload_offset] + payload
