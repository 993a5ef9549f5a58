"""Does this RTP payload begin a keyframe, whatever the codec, and of which size is it."""

from sfu.formats.codecs import Codec


def is_keyframe_start(codec: Codec, payload: bytes) -> bool:
    """Whether the payload begins a keyframe; every audio packet does. A malformed payload does not."""
    raise NotImplementedError


def keyframe_size(codec: Codec, payload: bytes) -> tuple[int, int] | None:
    """Return (width, height) when the payload begins a keyframe and names its size, else None."""
    raise NotImplementedError
