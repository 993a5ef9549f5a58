"""Transcoding of video to H.264 that every WebRTC receiver decodes: Constrained Baseline, which has no B-frames."""

from fractions import Fraction

import av
from av.video.frame import PictureType

from foundation.media_units import Unit, UnitKind

_CLOCK = 90_000
_MICROSECOND = Fraction(1, 1_000_000)
_RATE = 30
_LEAST_STEP_US = 25_000
"""The least interval of frames. At most 40 per second are sent; of 50 or 60, every second one."""
_BITS_PER_PIXEL = 0.075
_LEAST_BITS = 300_000
_KEYFRAME_PICTURES = 10 * _RATE
_THREADS = 2
_MAX_SIDE = 8192


class VideoTranscoder:
    """Decodes H.264, or takes decoded images, and encodes them with at most `height` lines."""

    def __init__(self, height: int) -> None:
        self.size = (0, 0)
        """The width and height of the incoming video."""
        self.keyframe_wanted = False
        self._height = height
        self._decoder: av.VideoCodecContext | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._last_us: int | None = None

    def configure(self, record: bytes) -> None:
        """Begin to decode H.264: with an avcC record, or, if that is empty, with start codes and parameters within."""
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        if record:
            decoder.extradata = record
        decoder.thread_count = 1  # each further thread delays the output by a frame
        self._decoder = decoder

    def packet(self, us: int, data: bytes) -> list[Unit]:
        """Decode an access unit with length-prefixed NAL units; return units of H.264."""
        if self._decoder is None:
            return []
        packet = av.Packet(data)
        packet.pts, packet.time_base = us, _MICROSECOND
        try:
            decoded = self._decoder.decode(packet)
        except (av.FFmpegError, EOFError):
            return []  # the access unit is damaged
        return [unit for image in decoded for unit in self.picture(us if image.pts is None else image.pts, image)]

    def picture(self, us: int, image: av.VideoFrame) -> list[Unit]:
        """Encode an image; return units of H.264, none if it follows too soon."""
        if self._last_us is not None and -1_000_000 < us - self._last_us < _LEAST_STEP_US:
            return []
        if (image.width, image.height) != self.size or self._encoder is None:
            self.size = (image.width, image.height)
            self._encoder = _encoder(*_fitting(*self.size, self._height))
        elif self._last_us is not None and us < self._last_us:
            self._encoder = _encoder(self._encoder.width, self._encoder.height)  # the source's timestamps jumped back
        self._last_us = us
        encoder = self._encoder
        scaled = image.reformat(width=encoder.width, height=encoder.height, format="yuv420p")
        scaled.pts, scaled.time_base = us * _CLOCK // 1_000_000, Fraction(1, _CLOCK)
        scaled.pict_type = PictureType.I if self.keyframe_wanted else PictureType.NONE
        self.keyframe_wanted = False
        return [
            Unit(UnitKind.VIDEO, packet.is_keyframe, (packet.pts or 0) * 1_000_000 // _CLOCK, bytes(packet))
            for packet in encoder.encode(scaled)
        ]


def _fitting(width: int, height: int, most: int) -> tuple[int, int]:
    """Return the size to encode: even numbers, the shorter side at most `most`, the area at most that of 16:9."""
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise ValueError("the stream's resolution is too large")
    area = most * most * 16 / 9
    scale = min(1.0, most / min(width, height), (area / (width * height)) ** 0.5)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _encoder(width: int, height: int) -> av.VideoCodecContext:
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    bits = max(_LEAST_BITS, int(width * height * _RATE * _BITS_PER_PIXEL))
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, _CLOCK), Fraction(_RATE)
    context.bit_rate = bits
    context.thread_count = _THREADS
    context.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "sc_threshold": "0",
        "g": str(_KEYFRAME_PICTURES),
        "maxrate": str(bits),
        "bufsize": str(bits),
        "forced-idr": "1",
    }
    context.open()
    return context
