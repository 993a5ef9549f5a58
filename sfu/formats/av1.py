"""AV1 in RTP (AV1 RTP payload specification v1.0.0): aggregation header, OBU elements, sequence header size.

OBU syntax: AV1 bitstream specification, section 5.
"""

from typing import NamedTuple

OBU_SEQUENCE_HEADER = 1
OBU_TEMPORAL_DELIMITER = 2
OBU_FRAME_HEADER = 3
OBU_TILE_GROUP = 4
OBU_FRAME = 6
OBU_TILE_LIST = 8


class Av1Payload(NamedTuple):
    """OBU elements of a payload. The first continues an OBU when `continues` (Z), the last goes on when `continued`
    (Y); `new_sequence` is N: first packet of a coded video sequence."""

    continues: bool
    continued: bool
    new_sequence: bool
    elements: tuple[bytes, ...]


def parse(payload: bytes) -> Av1Payload:
    """Return the elements of an AV1 RTP payload; raises ValueError."""
    raise NotImplementedError


def is_keyframe_start(payload: bytes) -> bool:
    """Whether the payload begins a coded video sequence (N bit). ValueError when malformed."""
    raise NotImplementedError


def sequence_size(obu: bytes) -> tuple[int, int]:
    """Return the maximum (width, height) of a sequence header OBU, with or without size field; raises ValueError."""
    raise NotImplementedError
