"""Transcoding of audio to Opus: 48 kHz stereo, 20 ms per frame, with timestamps that follow those of the source."""

from fractions import Fraction

import av
import numpy as np

from foundation.media_units import Unit, UnitKind

_RATE = 48_000
_SAMPLES = 960
_SLACK = _RATE * 25 // 1000
"""Audio whose timestamps deviate by more samples than this is moved, so that audio and video stay synchronised."""
_BITS = 96_000
_MICROSECOND = Fraction(1, 1_000_000)


class AudioTranscoder:
    """Decodes audio, by default AAC, or takes decoded audio, and encodes it."""

    def __init__(self, sound: tuple[str, int, int] = ("aac", 0, 0)) -> None:
        self._sound = sound
        self._decoder: av.AudioCodecContext | None = None
        self._resampler: av.AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._encoder = _encoder()
        self._fifo = av.AudioFifo()
        self._given = 0
        self._offset: int | None = None
        """The difference between positions in the stream and in the encoder (samples)."""

    def configure(self, config: bytes) -> None:
        """Begin to decode, AAC with an AudioSpecificConfig."""
        name, rate, channels = self._sound
        decoder = av.CodecContext.create(name, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        if config:
            decoder.extradata = config
        elif rate:
            decoder.sample_rate, decoder.layout = rate, "stereo" if channels == 2 else "mono"
        self._decoder = decoder

    def packet(self, us: int, data: bytes) -> list[Unit]:
        """Decode a frame; return units of Opus."""
        if self._decoder is None:
            return []
        packet = av.Packet(data)
        packet.pts, packet.time_base = us, _MICROSECOND
        try:
            decoded = self._decoder.decode(packet)
        except (av.FFmpegError, EOFError):
            return []  # the frame is damaged
        return [unit for sound in decoded for unit in self.sound(us if sound.pts is None else sound.pts, sound)]

    def sound(self, us: int, sound: av.AudioFrame) -> list[Unit]:
        """Encode audio that begins at `us`; return units of Opus."""
        form = (sound.format.name, sound.layout.name, sound.sample_rate)
        if self._resampler is None or form != self._form:
            self._form, self._resampler = form, av.AudioResampler(format="s16", layout="stereo", rate=_RATE)
            self._offset = None
        sound.pts = None
        at = us * _RATE // 1_000_000
        units = []
        for piece in self._resampler.resample(sound):
            expected = None if self._offset is None else self._given + self._offset
            if expected is None or abs(at - expected) > _SLACK:
                units += self._flush()
                self._offset = at - self._given
            piece.pts, piece.sample_rate, piece.time_base = self._given, _RATE, Fraction(1, _RATE)
            self._given += piece.samples
            at += piece.samples
            self._fifo.write(piece)
        return units + self._encode()

    def _encode(self) -> list[Unit]:
        units = []
        for piece in self._fifo.read_many(_SAMPLES):
            for packet in self._encoder.encode(piece):
                position = (packet.pts or 0) + (self._offset or 0)
                units.append(Unit(UnitKind.AUDIO, True, position * 1_000_000 // _RATE, bytes(packet)))
        return units

    def _flush(self) -> list[Unit]:
        """Fill the incomplete frame with silence."""
        missing = -self._given % _SAMPLES
        if self._offset is None or not missing:
            return []
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * missing), np.int16), "s16", "stereo")
        silence.sample_rate, silence.pts, silence.time_base = _RATE, self._given, Fraction(1, _RATE)
        self._given += missing
        self._fifo.write(silence)
        return self._encode()


def _encoder() -> av.AudioCodecContext:
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = _RATE, "stereo", "s16"
    context.bit_rate = _BITS
    context.time_base = Fraction(1, _RATE)
    context.options = {"frame_duration": "20", "application": "audio", "fec": "1", "packet_loss": "5"}
    context.open()
    return context
