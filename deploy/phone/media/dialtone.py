"""The tone that says that a telephone rings (ITU-T E.180: 425 Hz, one second of five)."""

import numpy as np

from phone.media.audio_codecs import Samples
from phone.media.description import FRAME_MS

_HERTZ = 425.0
_FRAMES, _SOUNDING = 5000 // FRAME_MS, 1000 // FRAME_MS
_AMPLITUDE = 3000


class Dialtone:
    """Gives the tone frame by frame."""

    def __init__(self) -> None:
        self._frame = -1

    def samples(self, rate: int) -> Samples | None:
        """Return the next 20 ms, None for silence."""
        self._frame = (self._frame + 1) % _FRAMES
        if self._frame >= _SOUNDING:
            return None
        count = rate * FRAME_MS // 1000
        at = np.arange(self._frame * count, (self._frame + 1) * count) / rate
        return (_AMPLITUDE * np.sin(2 * np.pi * _HERTZ * at)).astype(np.int16)
