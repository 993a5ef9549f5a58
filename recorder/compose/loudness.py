"""The loudness of a programme (EBU R 128, measured by ITU-R BS.1770), and the gain that brings it to the target."""

from fractions import Fraction

import av
import av.filter

from recorder.compose.samples import RATE, Samples

TARGET_LUFS = -16.0
"""The loudness usual for films and podcasts; the -23 LUFS of EBU R 128 is for broadcasts."""
_MAX_GAIN_DB = 20.0
"""The maximum gain: more would amplify the noise of a quiet room."""
_SILENCE_LUFS = -69.9
"""The absolute gate: below it, nothing was measured."""


class Loudness:
    """Measures sound as it arrives, with FFmpeg's `ebur128`."""

    def __init__(self) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=Fraction(1, RATE))
        meter, sink = self._graph.add("ebur128", "metadata=1"), self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()
        self._samples = 0
        self._lufs = _SILENCE_LUFS

    def add(self, samples: Samples) -> None:
        """Add the next (2, n) samples."""
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += samples.shape[1]
        self._graph.push(frame)
        self._read()

    def so_far(self) -> float | None:
        """Return the gated loudness until now in LUFS, None for silence."""
        return self._lufs if self._lufs > _SILENCE_LUFS else None

    def integrated(self) -> float | None:
        """Return the gated loudness in LUFS, None for silence. No samples may be added afterwards."""
        self._graph.push(None)
        self._read()
        return self.so_far()

    def _read(self) -> None:
        while True:
            try:
                measured = self._graph.pull()
            except (BlockingIOError, av.EOFError):
                return
            assert isinstance(measured, av.AudioFrame)
            self._lufs = float(measured.metadata.get("lavfi.r128.I", self._lufs))


def gain_to_target(lufs: float | None) -> float:
    """Return the factor that brings a programme of this loudness to the target."""
    if lufs is None:
        return 1.0
    decibels = min(TARGET_LUFS - lufs, _MAX_GAIN_DB)
    return float(10 ** (decibels / 20))
