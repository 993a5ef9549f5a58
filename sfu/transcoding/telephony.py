"""Telephone codecs, G.711 and G.722, from FFmpeg. Audio is 16-bit mono."""

from typing import NamedTuple

import av

from sfu.formats.codecs import Codec


class Telephony(NamedTuple):
    """FFmpeg's name of a codec, and its sampling rate."""

    name: str
    rate: int


TELEPHONY = {
    Codec.G711_ULAW: Telephony("pcm_mulaw", 8000),
    Codec.G711_ALAW: Telephony("pcm_alaw", 8000),
    Codec.G722: Telephony("g722", 16_000),
}


class TelephonyDecoder:
    """One stream's decoder."""

    def __init__(self, codec: Codec) -> None:
        name, rate = TELEPHONY[codec]
        context = av.CodecContext.create(name, "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout = rate, "mono"
        self._context = context

    def decode(self, payload: bytes) -> bytes:
        """Return the samples of a payload; raises ValueError if there are none."""
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise ValueError(f"cannot be decoded: {error}") from error
        sound = b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)
        if not sound:
            raise ValueError("it contains no audio")
        return sound


class TelephonyEncoder:
    """One stream's encoder."""

    def __init__(self, codec: Codec) -> None:
        name, self._rate = TELEPHONY[codec]
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = self._rate, "mono", "s16"
        self._context = context

    def encode(self, samples: bytes) -> bytes:
        """Return the payload for these samples."""
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
        frame.sample_rate = self._rate
        frame.planes[0].update(samples)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
