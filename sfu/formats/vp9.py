"""VP9 payload descriptor (RFC 9628, section 4.2) and what the sfu reads of the uncompressed header."""

from typing import NamedTuple


class ScalabilityStructure(NamedTuple):
    """(width, height) per spatial layer, () when not given; and the number of spatial layers."""

    spatial_layers: int
    sizes: tuple[tuple[int, int], ...]


class Vp9Descriptor(NamedTuple):
    """`payload[size:]` is VP9 data. Fields that the descriptor lacks are None; offsets of absent fields are -1."""

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
        """First packet of a picture's base layer."""
        return self.start and not self.spatial_layer


def parse(payload: bytes) -> Vp9Descriptor:
    """Return the descriptor of a VP9 RTP payload; raises ValueError."""
    raise NotImplementedError


def rewrite(payload: bytes, descriptor: Vp9Descriptor, picture_id: int, tl0_picture_index: int) -> bytes:
    """Return the payload with picture id and TL0PICIDX replaced where it has them, of the same size."""
    raise NotImplementedError


def is_keyframe_start(payload: bytes) -> bool:
    """Whether the payload begins a keyframe: base layer, first packet, not inter-picture predicted."""
    raise NotImplementedError


def keyframe_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a VP9 frame that is a keyframe, None for any other or a truncated one."""
    raise NotImplementedError
