"""Picture ids and TL0PICIDX, common to the descriptors of VP8 (RFC 7741) and VP9 (RFC 9628)."""

from typing import Protocol


class Located(Protocol):
    """A descriptor with the offsets of its fields, -1 for absent ones."""

    @property
    def picture_id_offset(self) -> int: ...

    @property
    def long_picture_id(self) -> bool: ...

    @property
    def tl0_offset(self) -> int: ...


def read(payload: bytes, offset: int) -> tuple[int, bool, int]:
    """Return (picture id, True for 15 instead of 7 bits, offset after it); raises IndexError if truncated."""
    value = payload[offset]
    if value & 0x80:
        return (value & 0x7F) << 8 | payload[offset + 1], True, offset + 2
    return value, False, offset + 1


def rewrite(payload: bytes, descriptor: Located, picture_id: int, tl0_picture_index: int) -> bytes:
    """Return the payload with picture id and TL0PICIDX, if present, replaced by values of the same size.

    Values are reduced modulo the field's range.
    """
    changed = bytearray(payload)
    offset = descriptor.picture_id_offset
    if offset >= 0:
        if descriptor.long_picture_id:
            changed[offset] = 0x80 | picture_id >> 8 & 0x7F
            changed[offset + 1] = picture_id & 0xFF
        else:
            changed[offset] = picture_id & 0x7F
    if descriptor.tl0_offset >= 0:
        changed[descriptor.tl0_offset] = tl0_picture_index & 0xFF
    return bytes(changed)
