"""A face on video: the portrait in matplotlib (a public-domain photograph), encoded like a camera's video."""

import io
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.audio.opus import SAMPLE_RATE
from inference.models import catalogue, store
from parley import models_command
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize
from sfu.formats.rtp import RtpPacket, serialize
from tests.inference.conftest import fetched_models
from tests.inference.material import Floats
from tests.support.encoders import ENCODERS, ordinary_priority

PER_SECOND = 10
_TICKS = 90_000 // PER_SECOND


def fetched_faces() -> Path:
    """The directory of the nets for faces, fetched if needed."""
    models = fetched_models()
    assert models_command.run(["fetch", "--models-dir", str(models), "faces"]) == 0
    return store.directory(models, catalogue.load().named(catalogue.FACES_MODEL))


@cache
def portrait(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """Return the portrait in the middle of a grey picture."""
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        image.thumbnail((width, height))
        picture = Image.new("RGB", (width, height), (90, 90, 90))
        picture.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return np.asarray(picture)


def empty(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """Return a picture of the same size without a face."""
    return np.full((height, width, 3), 90, np.uint8)


def frames(picture: NDArray[np.uint8], count: int, codec: Codec = Codec.VP8, keyframe_every: int = 30) -> list[bytes]:
    """Encode frames of a still picture with a little noise, so that no frame is empty."""
    name, options = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, PER_SECOND), PER_SECOND
    encoder.bit_rate, encoder.gop_size, encoder.options = 400_000, keyframe_every, options
    dice = np.random.default_rng(1)
    data = []
    with ordinary_priority():
        for index in range(count):
            noisy = np.clip(picture + dice.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="rgb24")
            frame.pts = index
            data += [bytes(packet) for packet in encoder.encode(frame)]
        data += [bytes(packet) for packet in encoder.encode(None)]
    return data


def packets(encoded: list[bytes], codec: Codec = Codec.VP8, ssrc: int = 9) -> list[list[bytes]]:
    """Return the RTP packets of each frame."""
    made, seq = [], 100
    for number, frame in enumerate(encoded):
        payloads = packetize(codec, frame, keyframe=number == 0, picture_id=number)
        own = []
        for index, payload in enumerate(payloads):
            packet = RtpPacket(96, seq, number * _TICKS, ssrc, payload, marker=index == len(payloads) - 1)
            own.append(serialize(packet))
            seq += 1
        made.append(own)
    return made


def film(picture: NDArray[np.uint8], seconds: int, sound: Floats | None = None) -> bytes:
    """Return a WebM file of the picture, with sound if given."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm") as container:
        video = container.add_stream("libvpx", rate=PER_SECOND, options=ENCODERS[Codec.VP8][1])
        video.width, video.height, video.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
        audio = None if sound is None else container.add_stream("libopus", rate=48_000, layout="mono")
        for index in range(seconds * PER_SECOND):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, PER_SECOND)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            spoken = av.AudioFrame.from_ndarray(sound[None, :].astype(np.float32), format="flt", layout="mono")
            spoken.sample_rate, spoken.pts, spoken.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
            for part in [*resampler.resample(spoken), *resampler.resample(None)]:
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return buffer.getvalue()
