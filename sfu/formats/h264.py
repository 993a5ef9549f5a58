"""H.264 in RTP (RFC 6184): NAL units of a payload, keyframes, and the picture size of a sequence parameter set.

Packetization modes 0 and 1: single NAL unit, STAP-A, FU-A. Others (STAP-B, MTAP, FU-B) are refused. Section numbers
without RFC are those of ITU-T H.264.
"""

from typing import NamedTuple

from sfu.formats.bits import BitReader

NAL_IDR = 5
NAL_SPS = 7
NAL_PPS = 8
NAL_AUD = 9
STAP_A = 24
FU_A = 28

_PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_SPS_BYTES = 512


class Fragment(NamedTuple):
    """A NAL unit, or a part of one. `data` begins with the NAL header byte if `start` is set."""

    data: bytes
    nal_type: int
    start: bool
    end: bool


def parse(payload: bytes) -> list[Fragment]:
    """Return the NAL units, or the fragment, of a payload; raises ValueError."""
    if not payload:
        raise ValueError("H264 payload is empty")
    kind = payload[0] & 0x1F
    if 1 <= kind <= 23:
        return [Fragment(bytes(payload), kind, True, True)]
    if kind == STAP_A:
        return _parse_aggregate(payload)
    if kind == FU_A:
        return [_parse_fragment(payload)]
    raise ValueError(f"H264 payload type {kind} is not used in packetization modes 0 and 1")


def _parse_aggregate(payload: bytes) -> list[Fragment]:
    units = []
    offset = 1
    while offset < len(payload):
        end = offset + 2 + int.from_bytes(payload[offset : offset + 2], "big")
        if end > len(payload) or end == offset + 2:
            raise ValueError("H264 STAP-A unit is empty or runs past the payload")
        unit = bytes(payload[offset + 2 : end])
        if not 1 <= unit[0] & 0x1F <= 23:
            raise ValueError("H264 STAP-A contains an invalid NAL unit")
        units.append(Fragment(unit, unit[0] & 0x1F, True, True))
        offset = end
    if not units:
        raise ValueError("H264 STAP-A is empty")
    return units


def _parse_fragment(payload: bytes) -> Fragment:
    if len(payload) < 3:
        raise ValueError("H264 FU-A is truncated")
    kind = payload[1] & 0x1F
    if not 1 <= kind <= 23:
        raise ValueError("H264 FU-A is of an invalid NAL unit")
    start, end = bool(payload[1] & 0x80), bool(payload[1] & 0x40)
    if start and end:
        raise ValueError("H264 FU-A both starts and ends")
    data = bytes(payload[2:])
    if start:
        data = bytes([payload[0] & 0xE0 | kind]) + data
    return Fragment(data, kind, start, end)


def is_keyframe_start(payload: bytes) -> bool:
    """Return True if the payload has an SPS, or the start of the first IDR slice; raises ValueError if malformed."""
    return any(
        unit.start
        and (unit.nal_type == NAL_SPS or (unit.nal_type == NAL_IDR and len(unit.data) > 1 and unit.data[1] >= 0x80))
        for unit in parse(payload)
    )


def picture_size(sps: bytes) -> tuple[int, int]:
    """Return (width, height) after cropping of an SPS NAL unit with its header byte (7.3.2.1.1); raises ValueError."""
    if len(sps) < 4 or sps[0] & 0x1F != NAL_SPS:
        raise ValueError("not an H264 SPS")
    profile = sps[1]
    bits = BitReader(_without_emulation_prevention(sps[4:_SPS_BYTES]))
    bits.exp_golomb()  # seq_parameter_set_id
    chroma_format = 1
    if profile in _PROFILES_WITH_CHROMA:
        chroma_format = _read_chroma(bits)
    bits.exp_golomb()  # log2_max_frame_num_minus4
    _skip_order_count(bits)
    bits.exp_golomb()  # max_num_ref_frames
    bits.read(1)  # gaps_in_frame_num_value_allowed_flag
    width = 16 * (bits.exp_golomb() + 1)
    map_units = bits.exp_golomb() + 1
    frame_mbs_only = bits.read(1)
    height = 16 * map_units * (2 - frame_mbs_only)
    if not frame_mbs_only:
        bits.read(1)  # mb_adaptive_frame_field_flag
    bits.read(1)  # direct_8x8_inference_flag
    if bits.flag():
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = (2 if chroma_format == 1 else 1) * (2 - frame_mbs_only)
        width -= unit_x * (bits.exp_golomb() + bits.exp_golomb())
        height -= unit_y * (bits.exp_golomb() + bits.exp_golomb())
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError("H264 picture size is not plausible")
    return width, height


def _without_emulation_prevention(data: bytes) -> bytes:
    return data.replace(b"\0\0\3", b"\0\0")


def _read_chroma(bits: BitReader) -> int:
    """Read from chroma_format_idc to the scaling matrix; return ChromaArrayType."""
    chroma_format = bits.exp_golomb()
    separate_planes = chroma_format == 3 and bits.flag()
    bits.exp_golomb()  # bit_depth_luma_minus8
    bits.exp_golomb()  # bit_depth_chroma_minus8
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for index in range(12 if chroma_format == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return 0 if separate_planes else chroma_format


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def _skip_order_count(bits: BitReader) -> None:
    kind = bits.exp_golomb()
    if kind == 0:
        bits.exp_golomb()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        bits.read(1)
        bits.signed_exp_golomb()
        bits.signed_exp_golomb()
        for _ in range(bits.exp_golomb()):
            bits.signed_exp_golomb()
