"""One mix of several voices, kept below full scale by a limiter, so that it is never clipped. Sans-IO."""

from collections.abc import Iterable

import numpy as np

from phone.media.audio_codecs import Samples

_CEILING = 30_000.0
_RELEASE = 0.15
"""The part of the way back to full gain that one frame of 20 ms goes."""
_FULL = 0.999
_ATTACK_SHARE = 8


class Mixer:
    """A mixer of frames of one length."""

    def __init__(self) -> None:
        self._gain = 1.0

    def mix(self, voices: Iterable[Samples], count: int) -> Samples:
        """Return the sum of frames of `count` samples, at a gain that keeps its peaks below the ceiling."""
        total = np.zeros(count, np.float32)
        for voice in voices:
            total += voice
        peak = float(np.max(np.abs(total))) if count else 0.0
        allowed = _CEILING / peak if peak > _CEILING else 1.0
        before = self._gain
        after = min(allowed, before + (1.0 - before) * _RELEASE)
        if after > _FULL:
            after = 1.0
        self._gain = after
        if before == after == 1.0:
            return total.astype(np.int16)
        gains = np.full(count, after, np.float32)
        attack = count // _ATTACK_SHARE if after < before else count
        gains[:attack] = np.linspace(before, after, attack, dtype=np.float32)
        limited = total * gains
        # Peaks within the attack are bent softly, since the gain is still falling there.
        over = np.abs(limited) > _CEILING
        if over.any():
            room = 32_767.0 - _CEILING
            bent = _CEILING + room * np.tanh((np.abs(limited[over]) - _CEILING) / room)
            limited[over] = np.sign(limited[over]) * bent
        return limited.astype(np.int16)
