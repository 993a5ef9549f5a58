"""H.264 in RTP (RFC 6184): NAL units of a payload, keyframes, and the picture size of a sequence parameter set.

Packetization modes 0 and 1: single NAL unit, STAP-A, FU-A. Others (STAP-B, MTAP, FU-B) are refused.
"""

from typing import NamedTuple

NAL_SLICE = 1
NAL_IDR = 5
NAL_SEI = 6
NAL_SPS = 7
NAL_PPS = 8
NAL_AUD = 9
STAP_A = 24
FU_A = 28


class Fragment(NamedTuple):
    """A NAL unit, or part of one. `data` begins with the NAL header byte when `start`."""

    data: bytes
    nal_type: int
    start: bool
    end: bool


def parse(payload: bytes) -> list[Fragment]:
    """Return the NAL units, or the fragment, of a payload; raises ValueError."""
    raise NotImplementedError


def is_keyframe_start(payload: bytes) -> bool:
    """Whether the payload holds an SPS or the start of an IDR slice. ValueError when malformed."""
    raise NotImplementedError


def picture_size(sps: bytes) -> tuple[int, int]:
    """Return (width, height), cropping applied, of an SPS NAL unit with its header byte; raises ValueError."""
    raise NotImplementedError
