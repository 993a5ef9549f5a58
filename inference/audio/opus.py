"""Opus (RFC 6716) decoding by libopus through ctypes: concealment and in-band FEC, which PyAV's decoder has not.

The decoder is created at 16 kHz mono, the rate that the models take: libopus then renders the narrower band itself
(SILK's wideband rate is 16 kHz; CELT leaves the upper bands out), so that no resampling filter is needed. The library
is the one that PyAV's wheel carries, else the system's libopus.so.0.
"""

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
SAMPLE_RATE = 16_000
RTP_CLOCK = 48_000
MAX_FRAME = SAMPLE_RATE * 120 // 1000
"""Samples of the longest packet, 120 ms (RFC 6716, section 3.2.5)."""


def _candidates() -> list[str]:
    bundled = Path(av.__file__).parent.parent / "av.libs"
    found = [str(path) for path in sorted(bundled.glob("libopus-*.so*"))]
    return [*found, "libopus.so.0", ctypes.util.find_library("opus") or ""]


@cache
def library() -> ctypes.CDLL:
    """Load libopus; raises OSError with what was tried when there is none."""
    tried = []
    for name in _candidates():
        if not name:
            continue
        try:
            return _declare(ctypes.CDLL(name))
        except OSError as error:
            tried.append(f"{name}: {error}")
    raise OSError("libopus is not to be had; tried " + "; ".join(tried))


def _declare(opus: ctypes.CDLL) -> ctypes.CDLL:
    opus.opus_decoder_create.restype = ctypes.c_void_p
    opus.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    opus.opus_decoder_destroy.restype = None
    opus.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
    opus.opus_decode.restype = ctypes.c_int
    opus.opus_decode.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    opus.opus_packet_get_nb_samples.restype = ctypes.c_int
    opus.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    opus.opus_strerror.restype = ctypes.c_char_p
    opus.opus_strerror.argtypes = [ctypes.c_int]
    return opus


def packet_samples(packet: bytes) -> int:
    """Return how many 16 kHz samples `packet` holds; raises ValueError when it is no Opus packet."""
    count: int = library().opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE)
    if count <= 0 or count > MAX_FRAME:
        raise ValueError("not an Opus packet")
    return count


class OpusDecoder:
    """One stream's decoder. Not safe for use by several threads at once."""

    def __init__(self) -> None:
        self._library = library()
        status = ctypes.c_int(0)
        self._decoder = self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(status))
        if not self._decoder:
            raise MemoryError(f"opus_decoder_create: {self._error(status.value)}")
        self._buffer = np.zeros(MAX_FRAME, np.int16)

    def __del__(self) -> None:
        if getattr(self, "_decoder", None):
            self._library.opus_decoder_destroy(self._decoder)
            self._decoder = None

    def _error(self, status: int) -> str:
        message: bytes = self._library.opus_strerror(status)
        return message.decode()

    def _decode(self, packet: bytes | None, frame: int, fec: bool) -> Samples:
        size = len(packet) if packet is not None else 0
        count = self._library.opus_decode(self._decoder, packet, size, self._buffer.ctypes.data, frame, int(fec))
        if count < 0:
            raise ValueError(f"opus_decode: {self._error(count)}")
        return self._buffer[:count].copy()

    def decode(self, packet: bytes) -> Samples:
        """Return the packet's 16 kHz mono samples; raises ValueError when it is no Opus packet."""
        return self._decode(packet, packet_samples(packet), fec=False)

    def recover(self, following: bytes, samples: int) -> Samples:
        """Return the `samples` before `following` from its in-band FEC, concealed where it carries none.

        `samples` is a multiple of 2.5 ms and at most 120 ms; raises ValueError when `following` is no Opus packet.
        """
        return self._decode(following, samples, fec=True)

    def conceal(self, samples: int) -> Samples:
        """Return `samples` (a multiple of 2.5 ms, at most 120 ms) made up from what came before."""
        return self._decode(None, samples, fec=False)
