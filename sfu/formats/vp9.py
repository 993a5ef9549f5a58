"""VP9 payload descriptor (RFC 9628, section 4.2), and the fields of the uncompressed header that the sfu needs.

The uncompressed header is that of the VP9 bitstream specification v0.6, section 6.2.
"""

from typing import NamedTuple

from sfu.formats.bits import BitReader
from sfu.formats.picture_id import read, rewrite

__all__ = ["ScalabilityStructure", "Vp9Descriptor", "is_keyframe_start", "keyframe_size", "parse", "rewrite"]

_SRGB = 7
_SYNC_CODE = 0x498342


class ScalabilityStructure(NamedTuple):
    """The number of spatial layers, and the (width, height) of each, () if not given."""

    spatial_layers: int
    sizes: tuple[tuple[int, int], ...]


class Vp9Descriptor(NamedTuple):
    """A parsed descriptor. `payload[size:]` is VP9 data. Absent fields are None, and their offsets -1."""

    size: int
    inter_picture: bool  # P
    flexible: bool  # F
    start: bool  # B: begins a layer frame
    end: bool  # E: ends a layer frame
    not_reference: bool  # Z: not a reference for upper spatial layers
    picture_id: int | None
    picture_id_offset: int
    long_picture_id: bool
    temporal_layer: int | None
    switching_up: bool  # U
    spatial_layer: int | None
    inter_layer: bool  # D
    tl0_picture_index: int | None
    tl0_offset: int
    reference_diffs: tuple[int, ...]
    structure: ScalabilityStructure | None

    @property
    def picture_start(self) -> bool:
        """True for the first packet of a picture's base layer."""
        return self.start and not self.spatial_layer


def parse(payload: bytes) -> Vp9Descriptor:
    """Return the descriptor of a VP9 RTP payload; raises ValueError, also if no VP9 data follows."""
    try:
        descriptor = _parse(payload)
    except IndexError as error:
        raise ValueError("VP9 descriptor is truncated") from error
    if descriptor.size >= len(payload):
        raise ValueError("VP9 payload holds no data")
    return descriptor


def _parse(payload: bytes) -> Vp9Descriptor:
    first = payload[0]
    flexible = bool(first & 0x10)
    offset = 1
    picture_id = temporal_layer = spatial_layer = None
    picture_id_offset = tl0_offset = -1
    long_picture_id = switching_up = inter_layer = False
    if first & 0x80:
        picture_id_offset = offset
        picture_id, long_picture_id, offset = read(payload, offset)
    if first & 0x20:
        temporal_layer, switching_up, spatial_layer, inter_layer = _parse_indices(payload[offset])
        offset += 1
        if not flexible:
            tl0_offset = offset
            offset += 1
    diffs: tuple[int, ...] = ()
    if flexible and first & 0x40:
        diffs, offset = _parse_diffs(payload, offset)
    structure, offset = _parse_structure(payload, offset) if first & 0x02 else (None, offset)
    return Vp9Descriptor(
        offset,
        bool(first & 0x40),
        flexible,
        bool(first & 0x08),
        bool(first & 0x04),
        bool(first & 0x01),
        picture_id,
        picture_id_offset,
        long_picture_id,
        temporal_layer,
        switching_up,
        spatial_layer,
        inter_layer,
        payload[tl0_offset] if tl0_offset >= 0 else None,
        tl0_offset,
        diffs,
        structure,
    )


def _parse_indices(byte: int) -> tuple[int, bool, int, bool]:
    """Return (temporal layer, True if it allows switching up, spatial layer, True if it depends on the layer below)."""
    return byte >> 5, bool(byte & 0x10), byte >> 1 & 0x07, bool(byte & 0x01)


def _parse_diffs(payload: bytes, offset: int) -> tuple[tuple[int, ...], int]:
    diffs: list[int] = []
    more = True
    while more:
        if len(diffs) == 3:
            raise ValueError("VP9 descriptor names more than three references")
        diffs.append(payload[offset] >> 1)
        more = bool(payload[offset] & 0x01)
        offset += 1
    return tuple(diffs), offset


def _parse_structure(payload: bytes, offset: int) -> tuple[ScalabilityStructure, int]:
    head = payload[offset]
    offset += 1
    layers = (head >> 5) + 1
    sizes = []
    if head & 0x10:
        for _ in range(layers):
            width, height = payload[offset] << 8 | payload[offset + 1], payload[offset + 2] << 8 | payload[offset + 3]
            sizes.append((width, height))
            offset += 4
    if head & 0x08:
        pictures = payload[offset]
        offset += 1
        for _ in range(pictures):
            offset += 1 + (payload[offset] >> 2 & 0x03)
    return ScalabilityStructure(layers, tuple(sizes)), offset


def is_keyframe_start(payload: bytes) -> bool:
    """Return True if the payload begins a keyframe: base layer, first packet, not inter-picture predicted.

    Raises ValueError for a malformed descriptor of a payload that may begin one.
    """
    if payload and payload[0] & 0x48 != 0x08:
        return False
    descriptor = parse(payload)
    return descriptor.picture_start and not descriptor.inter_picture


def keyframe_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a VP9 keyframe, None for other or truncated frames."""
    bits = BitReader(frame[:20])
    try:
        return _read_size(bits)
    except ValueError:
        return None


def _read_size(bits: BitReader) -> tuple[int, int] | None:
    if bits.read(2) != 2:
        return None
    profile = bits.read(1) | bits.read(1) << 1
    if profile == 3:
        bits.read(1)
    show_existing, inter = bits.flag(), bits.flag()
    bits.read(2)  # show_frame, error_resilient_mode
    if show_existing or inter or bits.read(24) != _SYNC_CODE:
        return None
    if profile >= 2:
        bits.read(1)  # bit depth
    if bits.read(3) != _SRGB:
        bits.read(1)  # color range
        if profile & 1:
            bits.read(3)  # subsampling
    elif profile & 1:
        bits.read(1)
    return bits.read(16) + 1, bits.read(16) + 1
