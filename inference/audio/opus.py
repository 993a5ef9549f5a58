"""Opus decoding for the models, which take 16 kHz mono. At that rate, libopus leaves out the upper bands by itself."""

import numpy as np
from numpy.typing import NDArray

from foundation import libopus

Samples = NDArray[np.int16]
SAMPLE_RATE = 16_000
RTP_CLOCK = 48_000


class OpusDecoder:
    """Decoder of one stream; see `foundation.libopus.OpusDecoder`."""

    def __init__(self) -> None:
        self._decoder = libopus.OpusDecoder(SAMPLE_RATE)

    def decode(self, packet: bytes) -> Samples:
        return _samples(self._decoder.decode(packet))

    def recover(self, following: bytes, samples: int) -> Samples:
        return _samples(self._decoder.recover(following, samples))

    def conceal(self, samples: int) -> Samples:
        return _samples(self._decoder.conceal(samples))


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, np.int16).copy()
