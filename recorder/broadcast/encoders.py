"""H.264, AAC and JPEG encoders of a broadcast: no delay, a keyframe every two seconds, playable everywhere."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av
from av.codec.context import Flags
from av.video.frame import PictureType
from PIL import Image

from foundation.film_options import FilmOptions
from foundation.media_units import Unit, UnitKind
from recorder.block_payload import length_prefixed
from recorder.broadcast.contract import KEYFRAME_SECONDS
from recorder.compose.samples import RATE, Samples
from recorder.compose.stage import THREADS
from sfu.formats import h264

_AUDIO_BITS = 128_000
_AAC_SAMPLES = 1024
_START_CODE = b"\0\0\0\1"
_MOST_MISSED = 5
"""The number of left-out keyframes that are made up for, so that a long pause does not cause more work."""


class VideoEncoder:
    """Encodes pictures, each with its index in time."""

    def __init__(self, film: FilmOptions, bits: int, rate: int) -> None:
        self._rate = rate
        self._step = KEYFRAME_SECONDS * rate
        self._keyframe_at: int | None = None
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = film.width, film.height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, rate), Fraction(rate)
        context.bit_rate = bits
        context.thread_count = THREADS
        context.flags |= Flags.global_header
        context.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "main",
            "sc_threshold": "0",
            "g": str(2 * KEYFRAME_SECONDS * rate),
            "maxrate": str(bits),
            "bufsize": str(bits),
            "forced-idr": "1",
        }
        context.open()
        self._context = context

    def setup(self) -> Unit:
        """Return the avcC record (ISO/IEC 14496-15) of the parameter sets."""
        units = _units(self._context.extradata or b"")
        sps = next(unit for unit in units if unit[0] & 0x1F == h264.NAL_SPS)
        pps = next(unit for unit in units if unit[0] & 0x1F == h264.NAL_PPS)
        record = bytes((1, *sps[1:4], 0xFF, 0xE1)) + len(sps).to_bytes(2, "big") + sps
        record += bytes((1,)) + len(pps).to_bytes(2, "big") + pps
        return Unit(UnitKind.VIDEO_SETUP, False, 0, record)

    def encode(self, picture: av.VideoFrame, index: int) -> Iterator[Unit]:
        """Encode a picture and yield the resulting units; the picture may be changed afterwards.

        If pictures before it were left out, it also takes the place of keyframes among them: players rely on the
        length of segments.
        """
        due = index if self._keyframe_at is None else self._keyframe_at
        for at in range(max(due, index // self._step * self._step - _MOST_MISSED * self._step), index, self._step):
            yield from self._encode(picture, at, PictureType.I)
        is_keyframe = index == due or index % self._step == 0
        yield from self._encode(picture, index, PictureType.I if is_keyframe else PictureType.NONE)
        self._keyframe_at = index // self._step * self._step + self._step

    def _encode(self, picture: av.VideoFrame, index: int, kind: PictureType) -> Iterator[Unit]:
        picture.pts, picture.time_base, picture.pict_type = index, Fraction(1, self._rate), kind
        for packet in self._context.encode(picture):
            assert packet.pts is not None
            us = packet.pts * 1_000_000 // self._rate
            yield Unit(UnitKind.VIDEO, packet.is_keyframe, us, length_prefixed(_framed(bytes(packet))))


class AudioEncoder:
    """Encodes sound without gaps, starting at a position in samples since the broadcast's zero."""

    def __init__(self, start: int) -> None:
        context = av.CodecContext.create("aac", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = RATE, "stereo", "fltp"
        context.bit_rate = _AUDIO_BITS
        context.time_base = Fraction(1, RATE)
        context.flags |= Flags.global_header
        context.open()
        self._context = context
        self._fifo = av.AudioFifo()
        self._position = start
        self._given = 0

    def setup(self) -> Unit:
        """Return the AudioSpecificConfig."""
        return Unit(UnitKind.AUDIO_SETUP, False, 0, bytes(self._context.extradata or b""))

    def encode(self, samples: Samples) -> Iterator[Unit]:
        if not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._given
        self._given += samples.shape[1]
        self._fifo.write(frame)
        for piece in self._fifo.read_many(_AAC_SAMPLES):
            for packet in self._context.encode(piece):
                at = self._position + (packet.pts or 0)
                yield Unit(UnitKind.AUDIO, True, round(at * 1_000_000 / RATE), bytes(packet))


def jpeg(picture: av.VideoFrame, width: int, height: int) -> bytes:
    """Return a picture as a JPEG image; a width or height of 0 follows from the other."""
    across = width or (height or picture.height) * picture.width // picture.height
    down = height or across * picture.height // picture.width
    pixels = picture.reformat(across, down, "rgb24").to_ndarray()
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def _units(data: bytes) -> list[bytes]:
    return [unit for unit in _framed(data).split(_START_CODE)[1:] if unit]


def _framed(data: bytes) -> bytes:
    """Return an Annex B access unit with four-byte start codes."""
    parts = data.split(b"\0\0\1")
    return b"".join(_START_CODE + part.rstrip(b"\0") for part in parts[1:])
