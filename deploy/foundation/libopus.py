"""Opus (RFC 6716) by libopus through ctypes: concealment and in-band FEC, which PyAV's decoder lacks.

Sound is 16-bit mono in this machine's byte order. Decoders and encoders are created with the required rate, 8, 12, 16,
24 or 48 kHz: libopus converts the bandwidth itself, so no resampling filter is needed. The library is the one in
PyAV's wheel, or the system's libopus.so.0.
"""

import ctypes
import ctypes.util
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SAMPLE_BYTES = 2
MAX_PACKET_MS = 120
"""The longest packet (RFC 6716, section 3.2.5)."""
_MAX_ENCODED_BYTES = 1275
_VOICE = 2048
_SET_IN_BAND_FEC, _SET_PACKET_LOSS = 4012, 4014


def _candidates() -> list[str]:
    av = find_spec("av")
    bundled = Path(av.origin).parent.parent / "av.libs" if av is not None and av.origin is not None else Path()
    found = [str(path) for path in sorted(bundled.glob("libopus-*.so*"))]
    return [*found, "libopus.so.0", ctypes.util.find_library("opus") or ""]


@cache
def library() -> ctypes.CDLL:
    """Load libopus; raises OSError that lists the attempts if there is none."""
    tried = []
    for name in _candidates():
        if not name:
            continue
        try:
            return _declare(ctypes.CDLL(name))
        except OSError as error:
            tried.append(f"{name}: {error}")
    raise OSError("libopus was not found; tried " + "; ".join(tried))


def _declare(opus: ctypes.CDLL) -> ctypes.CDLL:
    status = ctypes.POINTER(ctypes.c_int)
    opus.opus_decoder_create.restype = ctypes.c_void_p
    opus.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, status]
    opus.opus_decoder_destroy.restype = None
    opus.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
    opus.opus_decode.restype = ctypes.c_int
    opus.opus_decode.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    opus.opus_encoder_create.restype = ctypes.c_void_p
    opus.opus_encoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.c_int, status]
    opus.opus_encoder_destroy.restype = None
    opus.opus_encoder_destroy.argtypes = [ctypes.c_void_p]
    opus.opus_encode.restype = ctypes.c_int32
    opus.opus_encode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32]
    opus.opus_packet_get_nb_samples.restype = ctypes.c_int
    opus.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    opus.opus_strerror.restype = ctypes.c_char_p
    opus.opus_strerror.argtypes = [ctypes.c_int]
    return opus


def _error(status: int) -> str:
    message: bytes = library().opus_strerror(status)
    return message.decode()


def packet_samples(packet: bytes, rate: int) -> int:
    """Return the number of samples at `rate` in a packet; raises ValueError if it is not an Opus packet."""
    count: int = library().opus_packet_get_nb_samples(packet, len(packet), rate)
    if not 0 < count <= rate * MAX_PACKET_MS // 1000:
        raise ValueError("not an Opus packet")
    return count


class OpusDecoder:
    """A decoder for one stream. It is not thread-safe."""

    def __init__(self, rate: int) -> None:
        self._library = library()
        self._rate = rate
        status = ctypes.c_int(0)
        self._decoder = self._library.opus_decoder_create(rate, 1, ctypes.byref(status))
        if not self._decoder:
            raise MemoryError(f"opus_decoder_create: {_error(status.value)}")
        self._buffer = ctypes.create_string_buffer(rate * MAX_PACKET_MS // 1000 * SAMPLE_BYTES)

    def __del__(self) -> None:
        if getattr(self, "_decoder", None):
            self._library.opus_decoder_destroy(self._decoder)
            self._decoder = None

    def _decode(self, packet: bytes | None, samples: int, fec: bool) -> bytes:
        size = len(packet) if packet is not None else 0
        count = self._library.opus_decode(self._decoder, packet, size, self._buffer, samples, int(fec))
        if count < 0:
            raise ValueError(f"opus_decode: {_error(count)}")
        return ctypes.string_at(self._buffer, count * SAMPLE_BYTES)

    def decode(self, packet: bytes) -> bytes:
        """Return the packet's samples; raises ValueError if it is not an Opus packet."""
        return self._decode(packet, packet_samples(packet, self._rate), fec=False)

    def recover(self, following: bytes, samples: int) -> bytes:
        """Return the `samples` before `following` from its in-band FEC, or by concealment if it has none.

        `samples` is a multiple of 2.5 ms, at most 120 ms; raises ValueError if `following` is not an Opus packet.
        """
        return self._decode(following, samples, fec=True)

    def conceal(self, samples: int) -> bytes:
        """Return `samples` (a multiple of 2.5 ms, at most 120 ms) concealed from earlier sound."""
        return self._decode(None, samples, fec=False)


class OpusEncoder:
    """An encoder for one stream of speech, with in-band FEC against light loss. It is not thread-safe."""

    def __init__(self, rate: int) -> None:
        self._library = library()
        status = ctypes.c_int(0)
        self._encoder = self._library.opus_encoder_create(rate, 1, _VOICE, ctypes.byref(status))
        if not self._encoder:
            raise MemoryError(f"opus_encoder_create: {_error(status.value)}")
        for request, value in ((_SET_IN_BAND_FEC, 1), (_SET_PACKET_LOSS, 5)):
            self._library.opus_encoder_ctl(ctypes.c_void_p(self._encoder), ctypes.c_int(request), ctypes.c_int(value))
        self._buffer = ctypes.create_string_buffer(_MAX_ENCODED_BYTES)

    def __del__(self) -> None:
        if getattr(self, "_encoder", None):
            self._library.opus_encoder_destroy(self._encoder)
            self._encoder = None

    def encode(self, samples: bytes) -> bytes:
        """Encode 2.5, 5, 10, 20, 40 or 60 ms and return the packet; raises ValueError for any other length."""
        count = len(samples) // SAMPLE_BYTES
        size = self._library.opus_encode(self._encoder, samples, count, self._buffer, _MAX_ENCODED_BYTES)
        if size < 0:
            raise ValueError(f"opus_encode: {_error(size)}")
        return ctypes.string_at(self._buffer, size)
