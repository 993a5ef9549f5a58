"""Samples of any length, encoded in frames."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av

from recorder.compose.samples import RATE, Samples


class SoundEncoder:
    """An encoder of a container's stream, fed with samples as they come. `close` returns the last packets."""

    def __init__(self, stream: Any, frame_samples: int) -> None:
        self._stream = stream
        self._frame_samples = frame_samples
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=RATE)
        self._samples = 0

    def add(self, window: Samples) -> "Iterator[av.Packet[Any]]":
        """Encode (2, n) samples; yield the packets that are complete. Raises av.FFmpegError."""
        if not window.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(window, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += window.shape[1]
        for converted in self._resampler.resample(frame):
            self._fifo.write(converted)
        for piece in self._fifo.read_many(self._frame_samples):
            yield from self._stream.encode(piece)

    def close(self) -> "Iterator[av.Packet[Any]]":
        """Encode what is left; yield the last packets. Raises av.FFmpegError."""
        if (rest := self._fifo.read(0, partial=True)) is not None:
            yield from self._stream.encode(rest)
        yield from self._stream.encode(None)


def encoded(stream: Any, windows: Iterable[Samples], frame_samples: int) -> "Iterator[av.Packet[Any]]":
    """Encode samples to the end; yield the packets. Raises av.FFmpegError."""
    encoder = SoundEncoder(stream, frame_samples)
    for window in windows:
        yield from encoder.add(window)
    yield from encoder.close()
