"""The effects of a call on a voice, applied to all training data: telephone coding, level, noise, Opus.

Natural and generated speech get the same effects, so a detector cannot tell them apart by their recordings.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from inference.synthetic.features import RATE, Floats

_PIECE = RATE // 50


@dataclass(frozen=True, slots=True)
class _Codec:
    """An encoder of FFmpeg, its decoder, and the sample format of both."""

    encoder: str
    decoder: str
    sample: str
    options: dict[str, str] = field(default_factory=dict)
    bits_per_second: int | None = None


def through_g722(sound: Floats) -> Floats:
    """Return the sound after coding by ITU-T G.722, which all natural prompts have been through."""
    return _through(_Codec("g722", "g722", "s16"), sound)


def through_opus(sound: Floats, bits_per_second: int) -> Floats:
    """Return the sound after coding by Opus in its speech mode."""
    return _through(_Codec("libopus", "opus", "flt", {"application": "voip"}, bits_per_second), sound)


def as_called(sound: Floats, dice: np.random.Generator) -> Floats:
    """Return the sound at a random level, with random noise, after Opus at a random bit rate."""
    loud = sound * (10 ** dice.uniform(-1.5, -0.2) / max(float(np.abs(sound).max()), 1e-4))
    noise = dice.normal(0, 1, len(loud)) * np.sqrt(np.mean(loud**2) / 10 ** dice.uniform(1.8, 4.5))
    return through_opus((loud + noise).astype(np.float32), int(dice.choice([20_000, 24_000, 32_000, 48_000])))


def _through(codec: _Codec, sound: Floats) -> Floats:
    encoder = av.CodecContext.create(codec.encoder, "w")
    decoder = av.CodecContext.create(codec.decoder, "r")
    assert isinstance(encoder, av.AudioCodecContext)
    assert isinstance(decoder, av.AudioCodecContext)
    for context in (encoder, decoder):
        context.sample_rate, context.layout = RATE, av.AudioLayout("mono")
    encoder.format, encoder.time_base, encoder.options = av.AudioFormat(codec.sample), Fraction(1, RATE), codec.options
    if codec.bits_per_second is not None:
        encoder.bit_rate = codec.bits_per_second
    into = av.AudioResampler(format=codec.sample, layout="mono", rate=RATE, frame_size=_PIECE)
    out = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    whole = np.pad(sound, (0, -len(sound) % _PIECE)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(whole[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    packets = [packet for piece in into.resample(frame) for packet in encoder.encode(piece)]
    packets += encoder.encode(None)
    parts = [part for packet in packets for heard in decoder.decode(packet) for part in out.resample(heard)]
    parts += out.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)[: len(sound)]
