"""Formats of films: containers and codecs."""

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from foundation.film_options import Format
from recorder.compose.samples import RATE
from recorder.compose.stage import THREADS


class Codecs(NamedTuple):
    """A format's container, codecs, the samples in a frame of its sound, and the container of parts."""

    container: str
    video: str
    audio: str
    frame_samples: int
    part: str = ""


FORMATS: dict[Format, Codecs] = {
    "mp4": Codecs("mp4", "libx264", "aac", 1024, "mp4"),
    "webm": Codecs("webm", "libvpx-vp9", "libopus", 960, "webm"),
    "m4a": Codecs("ipod", "", "aac", 1024),
    "mp3": Codecs("mp3", "", "libmp3lame", 1152),
}
_VIDEO_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "24"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "7", "row-mt": "1", "lag-in-frames": "0", "crf": "34", "b": "0"},
}
_AUDIO_RATE = 128_000
KEYFRAME_SECONDS = 1
"""Browsers that decode in software seek by decoding all pictures since a keyframe: within 0.3 s with this distance."""
PART_SECONDS = 30
"""The length of the parts in which the video is made."""


def video_part(directory: Path, number: int, form: Format) -> Path:
    """Return the file of a part of the video."""
    return directory / f"{number:05}.{FORMATS[form].part}"


def sound_part(directory: Path, form: Format) -> Path:
    """Return the file of the encoded sound."""
    return directory / f"sound.{FORMATS[form].container}"


def movflags(*, fragmented: bool) -> dict[str, str]:
    """Return the options of an MP4 container."""
    return {"movflags": "frag_keyframe+empty_moov+default_base_moof" if fragmented else "+faststart"}


def add_video(container: Any, codec: str, size: tuple[int, int], rate: int) -> Any:
    """Add an encoded picture to a container."""
    stream = container.add_stream(codec, rate=rate)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, rate)
    stream.codec_context.thread_count = THREADS
    stream.codec_context.options = _VIDEO_OPTIONS[codec] | {"g": str(KEYFRAME_SECONDS * rate)}
    return stream


def add_audio(container: Any, codec: str) -> Any:
    """Add encoded sound to a container."""
    stream = container.add_stream(codec, rate=RATE, layout="stereo")
    stream.codec_context.bit_rate = _AUDIO_RATE
    return stream
