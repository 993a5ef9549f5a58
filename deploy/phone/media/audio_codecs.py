"""Encoders and decoders of phone legs. Samples are 16-bit mono at the codec's own rate.

Opus is created with the rate of the phone's codec, so that nothing needs to be resampled. G.711 and G.722 conceal a
loss by repeating the last pitch period while they fade out.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foundation.libopus import OpusDecoder, OpusEncoder
from phone.media.description import PhoneCodec
from sfu.formats.codecs import Codec
from sfu.transcoding.telephony import TelephonyDecoder, TelephonyEncoder

Samples = NDArray[np.int16]
_TELEPHONY = {PhoneCodec.PCMU: Codec.G711_ULAW, PhoneCodec.PCMA: Codec.G711_ALAW, PhoneCodec.G722: Codec.G722}
_FADE_SECONDS = 0.06
_HISTORY_SECONDS = 0.04
_SHORTEST_PITCH, _LONGEST_PITCH = 0.0025, 0.015
SILENCE_RMS = 50.0


class Decoder(Protocol):
    """A decoder with its concealment of losses."""

    def decode(self, payload: bytes) -> Samples:
        """Return a payload's samples; raises ValueError if it cannot be decoded."""

    def conceal(self, count: int, following: bytes | None) -> Samples:
        """Return `count` samples in place of lost ones, before the payload `following` if that is known."""


class Encoder(Protocol):
    """An encoder of frames of 20 ms."""

    def encode(self, samples: Samples) -> bytes:
        """Return the payload of a frame."""


def decoder_of(codec: PhoneCodec) -> Decoder:
    """Return a new decoder for a phone's stream."""
    return OpusSound(codec.rate) if codec is PhoneCodec.OPUS else _PhoneDecoder(codec)


def encoder_of(codec: PhoneCodec) -> Encoder:
    """Return a new encoder for a phone's stream."""
    return OpusSpeech(codec.rate) if codec is PhoneCodec.OPUS else _PhoneEncoder(codec)


class OpusSound:
    """A decoder of Opus at any of its rates; losses are recovered from in-band FEC, or concealed by libopus."""

    def __init__(self, rate: int) -> None:
        self._decoder = OpusDecoder(rate)
        self._unit = rate // 400

    def decode(self, payload: bytes) -> Samples:
        return np.frombuffer(self._decoder.decode(payload), np.int16)

    def conceal(self, count: int, following: bytes | None) -> Samples:
        whole = count // self._unit * self._unit
        made = b""
        if whole:
            try:
                made = self._decoder.recover(following, whole) if following else self._decoder.conceal(whole)
            except ValueError:
                made = b""
        found = np.frombuffer(made, np.int16)
        return np.concatenate((found, np.zeros(count - len(found), np.int16)))


class OpusSpeech:
    """An encoder of Opus at any of its rates."""

    def __init__(self, rate: int) -> None:
        self._encoder = OpusEncoder(rate)

    def encode(self, samples: Samples) -> bytes:
        return self._encoder.encode(samples.tobytes())


class _PhoneDecoder:
    def __init__(self, codec: PhoneCodec) -> None:
        self._decoder = TelephonyDecoder(_TELEPHONY[codec])
        self._rate = codec.rate
        self._history: Samples = np.zeros(0, np.int16)
        self._concealed = 0

    def decode(self, payload: bytes) -> Samples:
        samples = np.frombuffer(self._decoder.decode(payload), np.int16)
        if self._concealed and len(samples):
            samples = self._join(samples)
        self._concealed = 0
        self._history = np.concatenate((self._history, samples))[-round(self._rate * _HISTORY_SECONDS) :]
        return samples

    def conceal(self, count: int, following: bytes | None) -> Samples:
        made = self._repeat(count)
        self._concealed += count
        return made

    def _repeat(self, count: int) -> Samples:
        """Continue the last pitch period, fading out."""
        history = self._history.astype(np.float32)
        longest = round(self._rate * _LONGEST_PITCH)
        left = 1.0 - np.arange(self._concealed, self._concealed + count) / (self._rate * _FADE_SECONDS)
        if len(history) < 2 * longest or left[0] <= 0:
            return np.zeros(count, np.int16)
        period = _pitch(history, round(self._rate * _SHORTEST_PITCH), longest)
        cycle = history[-period:]
        positions = np.arange(self._concealed, self._concealed + count) % period
        made: Samples = (cycle[positions] * np.clip(left, 0, 1)).astype(np.int16)
        return made

    def _join(self, samples: Samples) -> Samples:
        """Fade from the concealment into the audio that follows."""
        count = min(len(samples), self._rate // 200)
        before = self._repeat(count).astype(np.float32)
        share = np.arange(1, count + 1, dtype=np.float32) / (count + 1)
        joined = samples.copy()
        joined[:count] = (before * (1 - share) + samples[:count] * share).astype(np.int16)
        return joined


def _pitch(history: NDArray[np.float32], shortest: int, longest: int) -> int:
    """Return the lag at which the end of the history resembles itself most."""
    recent = history[-longest:]
    best, best_score = longest, 0.0
    for lag in range(shortest, longest + 1):
        earlier = history[-longest - lag : -lag]
        score = float(recent @ earlier) / (float(np.sqrt((recent @ recent) * (earlier @ earlier))) + 1.0)
        if score > best_score:
            best, best_score = lag, score
    return best


class _PhoneEncoder:
    def __init__(self, codec: PhoneCodec) -> None:
        self._encoder = TelephonyEncoder(_TELEPHONY[codec])

    def encode(self, samples: Samples) -> bytes:
        return self._encoder.encode(samples.tobytes())


def rms(samples: Samples) -> float:
    """Return the root mean square of samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float32)))) if len(samples) else 0.0
