"""The codecs that the sfu forwards, and their RTP parameters."""

from enum import IntEnum


class Codec(IntEnum):
    """A payload format. RTX (RFC 4588) and RED (RFC 2198) wrap others."""

    OPUS = 0  # RFC 7587
    VP8 = 1  # RFC 7741
    VP9 = 2  # RFC 9628
    H264 = 3  # RFC 6184
    AV1 = 4  # AV1 RTP payload specification, AOM
    RTX = 5
    RED = 6
    G711_ULAW = 7
    G711_ALAW = 8
    G722 = 9

    @property
    def is_audio(self) -> bool:
        return self in _AUDIO


_AUDIO = frozenset({Codec.OPUS, Codec.RED, Codec.G711_ULAW, Codec.G711_ALAW, Codec.G722})
