"""Tones in the form that telephones and browsers send, and analysis of the received sound."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from foundation.libopus import OpusDecoder, OpusEncoder
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, parse, serialize
from sfu.transcoding.telephony import TELEPHONY, TelephonyDecoder, TelephonyEncoder

TONE = 440
FRAME_NS = 20_000_000
STEPS = {Codec.OPUS: 960, Codec.G711_ULAW: 160, Codec.G711_ALAW: 160, Codec.G722: 160}
Sound = NDArray[np.int16]


def rate_of(codec: Codec) -> int:
    return TELEPHONY[codec].rate if codec in TELEPHONY else 48_000


def tone(rate: int, frames: int, amplitude: int = 8000) -> Sound:
    at = np.arange(rate // 50 * frames) / rate
    return (np.sin(2 * np.pi * TONE * at) * amplitude).astype(np.int16)


def spoken(codec: Codec, frames: int, payload_type: int, ssrc: int = 7, first: int = 0) -> Iterator[bytes]:
    """Return the packets of a tone, 20 ms each."""
    rate = rate_of(codec)
    encoder = OpusEncoder(rate) if codec is Codec.OPUS else TelephonyEncoder(codec)
    size, sound = rate // 50, tone(rate, frames)
    for number in range(frames):
        payload = encoder.encode(sound[number * size : (number + 1) * size].tobytes())
        seq, timestamp = (first + number) & 0xFFFF, (first + number) * STEPS[codec] & 0xFFFF_FFFF
        yield serialize(RtpPacket(payload_type, seq, timestamp, ssrc, payload))


def heard(codec: Codec, packets: Iterable[bytes]) -> Sound:
    decoder = OpusDecoder(48_000) if codec is Codec.OPUS else TelephonyDecoder(codec)
    return np.frombuffer(b"".join(decoder.decode(parse(packet).payload) for packet in packets), np.int16)


def pitch(sound: Sound, rate: int) -> float:
    """Return the strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * rate / len(sound))


def loudness(sound: Sound) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(sound.astype(np.float64)))))


def likeness(sound: Sound, rate: int) -> float:
    """Return the correlation with the tone at its best phase: 1 for the pure tone, 0 without it."""
    at = np.arange(len(sound)) / rate
    part = np.abs(np.sum(sound * np.exp(-2j * np.pi * TONE * at))) * np.sqrt(2 / len(sound))
    return float(part / np.sqrt(np.sum(np.square(sound.astype(np.float64))) + 1e-9))
