"""Packetisation of frames, for publishers: VP8 (RFC 7741), VP9 (RFC 9628), H264 (RFC 6184), AV1, and audio.

Each function returns the payloads of one frame in order; the packet of the last one gets the marker (except for audio).
Chunks are of nearly equal size, so that a frame's last packet is not small.
"""

from collections.abc import Iterable
from itertools import pairwise

from sfu.formats import av1, h264
from sfu.formats.codecs import Codec

DEFAULT_PAYLOAD_BYTES = 1180

_VP8_HEADER_BYTES = 4
_VP9_HEADER_BYTES = 3
_FU_HEADER_BYTES = 2


def packetize(
    codec: Codec, frame: bytes, *, keyframe: bool, picture_id: int = 0, max_bytes: int = DEFAULT_PAYLOAD_BYTES
) -> list[bytes]:
    """Return the payloads of a frame, each of at most `max_bytes` (for audio: one of any size).

    `picture_id` (VP8, VP9) counts pictures, taken mod 2**15. H264 frames are Annex B access units, AV1 frames temporal
    units in low-overhead format; `keyframe` sets AV1's N bit and clears VP9's P bit. Raises ValueError for an empty
    frame, one that does not parse, RTX or RED.
    """
    if not frame:
        raise ValueError("frame is empty")
    if max_bytes < 64:
        raise ValueError("payloads must be allowed at least 64 bytes")
    match codec:
        case Codec.VP8:
            return packetize_vp8(frame, picture_id, max_bytes)
        case Codec.VP9:
            return packetize_vp9(frame, keyframe, picture_id, max_bytes)
        case Codec.H264:
            return packetize_h264(frame, max_bytes)
        case Codec.AV1:
            return packetize_av1(frame, keyframe, max_bytes)
    if not codec.is_audio or codec is Codec.RED:
        raise ValueError(f"{codec.name} frames are not packetised")
    return [frame]


def packetize_vp8(frame: bytes, picture_id: int, max_bytes: int = DEFAULT_PAYLOAD_BYTES) -> list[bytes]:
    """Return packets with one descriptor and a 15-bit picture id each; partitions are not distinguished (RFC 7741,
    4.4).
    """
    identifier = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    chunks = even_parts(frame, max_bytes - _VP8_HEADER_BYTES)
    return [bytes([0x90 if index == 0 else 0x80, 0x80]) + identifier + chunk for index, chunk in enumerate(chunks)]


def packetize_vp9(frame: bytes, keyframe: bool, picture_id: int, max_bytes: int = DEFAULT_PAYLOAD_BYTES) -> list[bytes]:
    """Return packets in non-flexible mode without layers; a superframe is sent as one layer frame."""
    identifier = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    chunks = even_parts(frame, max_bytes - _VP9_HEADER_BYTES)
    payloads = []
    for index, chunk in enumerate(chunks):
        first = 0x80 | (0 if keyframe else 0x40)
        first |= 0x08 if index == 0 else 0
        first |= 0x04 if index == len(chunks) - 1 else 0
        payloads.append(bytes([first]) + identifier + chunk)
    return payloads


def packetize_h264(frame: bytes, max_bytes: int = DEFAULT_PAYLOAD_BYTES) -> list[bytes]:
    """Return packets in packetization mode 1: STAP-A for consecutive small units, FU-A for large ones."""
    payloads = pack_units(split_annex_b(frame), max_bytes)
    if not payloads:
        raise ValueError("H264 access unit has no NAL unit")
    return payloads


def pack_units(units: Iterable[bytes], max_bytes: int) -> list[bytes]:
    """Return the payloads of NAL units, each of at most `max_bytes` (RFC 6184, section 5)."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    for unit in units:
        if small and 1 + sum(2 + len(other) for other in (*small, unit)) > max_bytes:
            payloads.append(_aggregate(small))
            small = []
        if len(unit) <= max_bytes:
            small.append(unit)
        else:
            payloads += fragments(unit[0], unit[1:], max_bytes)
    if small:
        payloads.append(_aggregate(small))
    return payloads


def split_annex_b(frame: bytes) -> list[bytes]:
    """Return the NAL units between start codes of three or four bytes (ITU-T H.264, annex B)."""
    units = []
    start = frame.find(b"\0\0\1")
    while start >= 0:
        following = frame.find(b"\0\0\1", start + 3)
        unit = frame[start + 3 : following if following >= 0 else len(frame)].rstrip(b"\0")
        if unit:
            units.append(unit)
        start = following
    return units


def _aggregate(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    importance = max(unit[0] & 0x60 for unit in units)
    return bytes([importance | h264.STAP_A]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def fragments(header: int, body: bytes, max_bytes: int, *, start: bool = True, end: bool = True) -> list[bytes]:
    """Return the FU-A payloads of a NAL unit's body, or of a part without its `start` or `end`."""
    chunks = even_parts(body, max_bytes - _FU_HEADER_BYTES)
    payloads = []
    for index, chunk in enumerate(chunks):
        begins, ends = start and index == 0, end and index == len(chunks) - 1
        second = header & 0x1F | (0x80 if begins else 0) | (0x40 if ends else 0)
        payloads.append(bytes([header & 0xE0 | h264.FU_A, second]) + chunk)
    return payloads


def packetize_av1(unit: bytes, new_sequence: bool, max_bytes: int = DEFAULT_PAYLOAD_BYTES) -> list[bytes]:
    """Return packets of OBUs without size fields, each element with its length (W = 0); temporal delimiters are left
    out.
    """
    left_out = (av1.OBU_TEMPORAL_DELIMITER, av1.OBU_TILE_LIST)
    elements = [obu.header + obu.body for obu in av1.iterate_obus(unit) if obu.kind not in left_out]
    if not elements:
        raise ValueError("AV1 temporal unit has no OBU")
    return pack_elements(av1.Av1Payload(False, False, new_sequence, tuple(elements)), max_bytes)


def pack_elements(whole: av1.Av1Payload, max_bytes: int) -> list[bytes]:
    """Return the payloads of OBU elements, each of at most `max_bytes`; the first and the last keep the flags of
    `whole`.
    """
    payloads: list[bytes] = []
    body = b""
    continues = whole.continues
    for element in whole.elements:
        rest = element
        while rest:
            # Three bytes for the aggregation header and a length below 2**14.
            space = max_bytes - len(body) - 3
            if space < 16 and body:
                payloads.append(_av1_payload(body, continues, False))
                body, continues = b"", False
                continue
            part, rest = rest[:space], rest[space:]
            body += av1.write_leb128(len(part)) + part
            if rest:
                payloads.append(_av1_payload(body, continues, True))
                body, continues = b"", True
    if body:
        payloads.append(_av1_payload(body, continues, whole.continued))
    if payloads and whole.new_sequence:
        payloads[0] = bytes([payloads[0][0] | 0x08]) + payloads[0][1:]
    return payloads


def _av1_payload(body: bytes, continues: bool, continued: bool) -> bytes:
    return bytes([(0x80 if continues else 0) | (0x40 if continued else 0)]) + body


def even_parts(data: bytes, largest: int) -> list[bytes]:
    """Cut data into the fewest chunks of at most `largest` bytes, with sizes that differ by at most one byte."""
    count = -(-len(data) // largest)
    bounds = [len(data) * index // count for index in range(count + 1)]
    return [data[start:end] for start, end in pairwise(bounds)]
