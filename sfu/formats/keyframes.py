"""Detection of keyframes in an RTP payload of any codec, and the size of their pictures."""

from collections.abc import Callable

from sfu.formats import av1, h264, vp8, vp9
from sfu.formats.codecs import Codec

_STARTS: dict[Codec, Callable[[bytes], bool]] = {
    Codec.VP8: vp8.is_keyframe_start,
    Codec.VP9: vp9.is_keyframe_start,
    Codec.H264: h264.is_keyframe_start,
    Codec.AV1: av1.is_keyframe_start,
}


def is_keyframe_start(codec: Codec, payload: bytes) -> bool:
    """Return True if the payload begins a keyframe. Every audio packet does; RTX, which must be unwrapped first, never
    does.

    A malformed payload does not begin one.
    """
    if codec.is_audio:
        return True
    starts = _STARTS.get(codec)
    if starts is None:
        return False
    try:
        return starts(payload)
    except ValueError:
        return False


def keyframe_size(codec: Codec, payload: bytes) -> tuple[int, int] | None:
    """Return (width, height) if the payload begins a keyframe and contains its size, else None.

    For VP9 it is the highest spatial layer's size, if the descriptor lists them; for AV1 the sequence's maximum.
    """
    size = _SIZES.get(codec)
    try:
        return size(payload) if size is not None else None
    except ValueError:
        return None


def _vp8_size(payload: bytes) -> tuple[int, int] | None:
    descriptor = vp8.parse(payload)
    return vp8.keyframe_size(payload[descriptor.size :]) if descriptor.frame_start else None


def _vp9_size(payload: bytes) -> tuple[int, int] | None:
    descriptor = vp9.parse(payload)
    if not descriptor.picture_start or descriptor.inter_picture:
        return None
    if descriptor.structure is not None and descriptor.structure.sizes:
        return descriptor.structure.sizes[-1]
    return vp9.keyframe_size(payload[descriptor.size :])


def _h264_size(payload: bytes) -> tuple[int, int] | None:
    for unit in h264.parse(payload):
        if unit.nal_type == h264.NAL_SPS and unit.start and unit.end:
            return h264.picture_size(unit.data)
    return None


def _av1_size(payload: bytes) -> tuple[int, int] | None:
    parsed = av1.parse(payload)
    for element in parsed.elements[1:] if parsed.continues else parsed.elements:
        if av1.obu_kind(element) == av1.OBU_SEQUENCE_HEADER:
            return av1.sequence_size(element)
    return None


_SIZES: dict[Codec, Callable[[bytes], tuple[int, int] | None]] = {
    Codec.VP8: _vp8_size,
    Codec.VP9: _vp9_size,
    Codec.H264: _h264_size,
    Codec.AV1: _av1_size,
}
