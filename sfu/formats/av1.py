"""AV1 in RTP (AV1 RTP payload specification v1.0.0): aggregation header, OBU elements, sequence header size.

OBU syntax: AV1 bitstream specification, section 5.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sfu.formats.bits import BitReader

OBU_SEQUENCE_HEADER = 1
OBU_TEMPORAL_DELIMITER = 2
OBU_FRAME_HEADER = 3
OBU_FRAME = 6
OBU_TILE_LIST = 8

_HAS_EXTENSION = 0x04
_HAS_SIZE = 0x02


class Av1Payload(NamedTuple):
    """The OBU elements of a payload. The first one continues an OBU if `continues` (Z); the last one is continued if
    `continued` (Y). `new_sequence` (N) marks the first packet of a coded video sequence.
    """

    continues: bool
    continued: bool
    new_sequence: bool
    elements: tuple[bytes, ...]


class Obu(NamedTuple):
    """A parsed OBU: its header (one or two bytes, without the size flag) and the bytes after the size field."""

    kind: int
    header: bytes
    body: bytes


def parse(payload: bytes) -> Av1Payload:
    """Return the elements of an AV1 RTP payload; raises ValueError."""
    if len(payload) < 2:
        raise ValueError("AV1 payload is truncated")
    first = payload[0]
    count = first >> 4 & 0x03
    elements: list[bytes] = []
    offset = 1
    while offset < len(payload):
        if count and len(elements) == count - 1:
            end = len(payload)
        else:
            length, offset = read_leb128(payload, offset)
            end = offset + length
            if end > len(payload):
                raise ValueError("AV1 OBU element runs past the payload")
        elements.append(bytes(payload[offset:end]))
        offset = end
    if count and len(elements) != count:
        raise ValueError("AV1 payload has fewer OBU elements than it declares")
    continues, new_sequence = bool(first & 0x80), bool(first & 0x08)
    if continues and new_sequence:
        raise ValueError("AV1 payload continues an OBU at the start of a coded video sequence")
    return Av1Payload(continues, bool(first & 0x40), new_sequence, tuple(elements))


def is_keyframe_start(payload: bytes) -> bool:
    """Return True if the payload begins a coded video sequence: N bit, or a sequence header first. Raises ValueError if
    malformed.
    """
    parsed = parse(payload)
    return parsed.new_sequence or (not parsed.continues and obu_kind(parsed.elements[0]) == OBU_SEQUENCE_HEADER)


def obu_kind(obu: bytes) -> int:
    """Return the type of an OBU from its first byte, -1 if empty."""
    return obu[0] >> 3 & 0x0F if obu else -1


def read_leb128(data: bytes, offset: int) -> tuple[int, int]:
    """Return (value, offset after it); raises ValueError if truncated or above 32 bits."""
    value = 0
    for index in range(5):
        if offset + index >= len(data):
            raise ValueError("LEB128 value is truncated")
        byte = data[offset + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= 1 << 32:
                break
            return value, offset + index + 1
    raise ValueError("LEB128 value is above 32 bits")


def write_leb128(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def split_obu(obu: bytes) -> Obu:
    """Parse one OBU, with or without a size field; raises ValueError."""
    parsed, end = _read_obu(obu, 0)
    if end != len(obu):
        raise ValueError("AV1 OBU is followed by more data")
    return parsed


def iterate_obus(unit: bytes) -> Iterator[Obu]:
    """Yield the OBUs of a temporal unit in low-overhead format (each with a size field); raises ValueError."""
    offset = 0
    while offset < len(unit):
        parsed, offset = _read_obu(unit, offset)
        yield parsed


def _read_obu(data: bytes, offset: int) -> tuple[Obu, int]:
    if offset >= len(data):
        raise ValueError("AV1 OBU is empty")
    first = data[offset]
    if first & 0x80:
        raise ValueError("AV1 OBU has its forbidden bit set")
    body = offset + (2 if first & _HAS_EXTENSION else 1)
    if body > len(data):
        raise ValueError("AV1 OBU header is truncated")
    header = bytes([first & ~_HAS_SIZE]) + data[offset + 1 : body]
    end = len(data)
    if first & _HAS_SIZE:
        size, body = read_leb128(data, body)
        end = body + size
        if end > len(data):
            raise ValueError("AV1 OBU runs past the data")
    return Obu(first >> 3 & 0x0F, header, bytes(data[body:end])), end


def write_obu(obu: Obu) -> bytes:
    """Return the OBU with a size field, as in low-overhead format."""
    return bytes([obu.header[0] | _HAS_SIZE]) + obu.header[1:] + write_leb128(len(obu.body)) + obu.body


def sequence_size(obu: bytes) -> tuple[int, int]:
    """Return the maximum (width, height) of a sequence header OBU, with or without size field; raises ValueError.

    Bitstream specification, section 5.5.1.
    """
    parsed = split_obu(obu)
    if parsed.kind != OBU_SEQUENCE_HEADER:
        raise ValueError("not an AV1 sequence header")
    bits = BitReader(parsed.body[:256])
    bits.read(4)  # seq_profile, still_picture
    if bits.flag():
        bits.read(5)  # reduced still picture header: only a level
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


def _skip_operating_points(bits: BitReader) -> None:
    decoder_model = False
    delay_bits = 0
    if bits.flag():
        bits.read(64)  # num_units_in_display_tick, time_scale
        if bits.flag():
            bits.exp_golomb()  # num_ticks_per_picture_minus_1
        decoder_model = bits.flag()
        if decoder_model:
            delay_bits = bits.read(5) + 1
            bits.read(42)  # num_units_in_decoding_tick and two lengths
    display_delay = bits.flag()
    for _ in range(bits.read(5) + 1):
        bits.read(12)  # operating_point_idc
        if bits.read(5) > 7:
            bits.read(1)  # seq_tier
        if decoder_model and bits.flag():
            bits.read(2 * delay_bits + 1)
        if display_delay and bits.flag():
            bits.read(4)
