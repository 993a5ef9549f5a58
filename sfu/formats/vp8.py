"""VP8 payload descriptor and keyframe header (RFC 7741, section 4; RFC 6386, section 9.1)."""

from typing import NamedTuple

from sfu.formats.picture_id import read, rewrite

__all__ = ["Vp8Descriptor", "content_of", "is_keyframe_start", "keyframe_size", "parse", "rewrite"]


class Vp8Descriptor(NamedTuple):
    """A parsed descriptor. `payload[size:]` is VP8 data. Absent fields are None, and their offsets -1."""

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
    """Return the descriptor of a VP8 RTP payload; raises ValueError, also if no VP8 data follows."""
    try:
        descriptor = _parse(payload)
    except IndexError as error:
        raise ValueError("VP8 descriptor is truncated") from error
    if descriptor.size >= len(payload):
        raise ValueError("VP8 payload holds no data")
    return descriptor


def _parse(payload: bytes) -> Vp8Descriptor:
    first = payload[0]
    offset = 1
    extension = 0
    if first & 0x80:
        extension = payload[1]
        offset = 2
    picture_id = tl0_picture_index = temporal_layer = key_index = None
    picture_id_offset = tl0_offset = -1
    long_picture_id = layer_sync = False
    if extension & 0x80:
        picture_id_offset = offset
        picture_id, long_picture_id, offset = read(payload, offset)
    if extension & 0x40:
        tl0_offset = offset
        tl0_picture_index = payload[offset]
        offset += 1
    if extension & 0x30:
        byte = payload[offset]
        offset += 1
        if extension & 0x20:
            temporal_layer = byte >> 6
            layer_sync = bool(byte & 0x20)
        if extension & 0x10:
            key_index = byte & 0x1F
    return Vp8Descriptor(
        offset,
        bool(first & 0x20),
        bool(first & 0x10),
        first & 0x07,
        picture_id,
        picture_id_offset,
        long_picture_id,
        tl0_picture_index,
        tl0_offset,
        temporal_layer,
        layer_sync,
        key_index,
    )


def content_of(payload: bytes) -> tuple[int, bool]:
    """Return where VP8 data begins in a payload, and whether it begins a frame, like `parse` but without the rest."""
    try:
        first = payload[0]
        offset = 1
        if first & 0x80:
            extension = payload[1]
            offset = 2
            if extension & 0x80:
                offset += 2 if payload[2] & 0x80 else 1
            offset += (extension >> 6 & 1) + (extension & 0x30 != 0)
    except IndexError as error:
        raise ValueError("VP8 descriptor is truncated") from error
    if offset >= len(payload):
        raise ValueError("VP8 payload holds no data")
    return offset, first & 0x17 == 0x10


def is_keyframe_start(payload: bytes) -> bool:
    """Return True if the payload begins a keyframe; raises ValueError for a malformed descriptor that may begin one."""
    if payload and payload[0] & 0x17 != 0x10:
        return False
    descriptor = parse(payload)
    return descriptor.frame_start and not payload[descriptor.size] & 0x01


def keyframe_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) of VP8 data that begins a keyframe, None for other or truncated data."""
    if len(frame) < 10 or frame[0] & 0x01 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF
