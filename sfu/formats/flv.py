"""Bodies of FLV's tags, as RTMP carries them: H.264 and AAC."""

from typing import NamedTuple

_AVC, _AAC = 7, 10
_KEY, _INTER = 1, 2
_AAC_HEADER = _AAC << 4 | 0x0F
"""44 kHz, 16 bit, stereo, whatever the sound is: its configuration counts."""


def video_configuration(record: bytes) -> bytes:
    """Return the tag that an avcC record goes in (ISO/IEC 14496-15)."""
    return bytes((_KEY << 4 | _AVC, 0, 0, 0, 0)) + record


def video(access_unit: bytes, *, keyframe: bool) -> bytes:
    """Return the tag of an access unit of length-prefixed NAL units that is shown when it is decoded."""
    return bytes(((_KEY if keyframe else _INTER) << 4 | _AVC, 1, 0, 0, 0)) + access_unit


def audio_configuration(record: bytes) -> bytes:
    """Return the tag that an AudioSpecificConfig goes in (ISO/IEC 14496-3)."""
    return bytes((_AAC_HEADER, 0)) + record


def audio(frame: bytes) -> bytes:
    """Return the tag of a raw AAC frame."""
    return bytes((_AAC_HEADER, 1)) + frame


class Tag(NamedTuple):
    """The content of a tag. `delay` is the time from decoding to showing, in ms."""

    data: bytes
    is_configuration: bool
    keyframe: bool
    delay: int


def parse_video(body: bytes) -> Tag | None:
    """Return an H.264 tag, None for the end of a sequence. Raises ValueError for other codecs."""
    if len(body) < 5 or body[0] & 0x8F != _AVC:
        raise ValueError("the video is not H.264")
    if body[1] > 1:
        return None
    delay = int.from_bytes(body[2:5], "big", signed=True)
    return Tag(bytes(body[5:]), body[1] == 0, body[0] >> 4 == _KEY, delay)


def parse_audio(body: bytes) -> Tag:
    """Return an AAC tag. Raises ValueError for other codecs."""
    if len(body) < 2 or body[0] >> 4 != _AAC:
        raise ValueError("the sound is not AAC")
    return Tag(bytes(body[2:]), body[1] == 0, True, 0)
