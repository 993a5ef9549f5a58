"""VP8 payload descriptor and keyframe header (RFC 7741, section 4; RFC 6386, section 9.1)."""

from typing import NamedTuple


class Vp8Descriptor(NamedTuple):
    """`payload[size:]` is VP8 data. Fields that the descriptor lacks are None; offsets of absent fields are -1."""

    size: int
    non_reference: bool
    start: bool  # S: first packet of a partition
    partition: int
    picture_id: int | None
    picture_id_offset: int
    long_picture_id: bool  # 15 bits, else 7
    tl0_picture_index: int | None
    tl0_offset: int
    temporal_layer: int | None
    layer_sync: bool
    key_index: int | None

    @property
    def frame_start(self) -> bool:
        return self.start and self.partition == 0


def parse(payload: bytes) -> Vp8Descriptor:
    """Return the descriptor of a VP8 RTP payload; raises ValueError."""
    raise NotImplementedError


def rewrite(payload: bytes, descriptor: Vp8Descriptor, picture_id: int, tl0_picture_index: int) -> bytes:
    """Return the payload with picture id and TL0PICIDX replaced where it has them, of the same size.

    Values are taken modulo the field's size.
    """
    raise NotImplementedError


def is_keyframe_start(payload: bytes) -> bool:
    """Whether the payload begins a keyframe. ValueError for a malformed descriptor."""
    raise NotImplementedError


def keyframe_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) of VP8 data that begins a keyframe, None for any other or a truncated one."""
    raise NotImplementedError
