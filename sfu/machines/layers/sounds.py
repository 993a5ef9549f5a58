"""Choice of audio tracks to leave out on a thin link: silent microphones that, without DTX, send as much as speech.

If audio would take more than a fifth of the estimate, participants who have been silent for some seconds are left out.
If it would still take much of it, only the three who spoke last are sent. A track returns when its owner speaks.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_THIN, _AMPLE = 0.2, 0.15  # of the estimate, for all audio together
_VERY_THIN = 0.4
_AT_LEAST = 3
_SILENT_NS = 3_000_000_000
_WITHOUT_DTX = 12_000.0  # bits/s; with DTX, silence takes less


class Sound(NamedTuple):
    """An audio track: its rate (bits/s), and how long (ns) its owner has been silent, None if unknown."""

    rate: float
    silent: int | None


def fits(rate: float, estimate: float) -> bool:
    """Return True if a link of `estimate` bits/s on which nothing is left out has room for audio of `rate` bits/s."""
    return rate <= estimate * _THIN


def spared(sounds: Sequence[tuple[Key, Sound]], estimate: float, before: frozenset[Key]) -> frozenset[Key]:
    """Return the tracks to leave out on a link of `estimate` bits/s; `before` were left out so far."""
    total = sum(sound.rate for _, sound in sounds)
    if total <= estimate * (_AMPLE if before else _THIN):
        return frozenset()
    silent = {
        key
        for key, sound in sounds
        if sound.silent is not None and sound.silent >= _SILENT_NS and (sound.rate >= _WITHOUT_DTX or key in before)
    }
    heard = [(key, sound) for key, sound in sounds if key not in silent]
    if sum(sound.rate for _, sound in heard) > estimate * _VERY_THIN:
        # Tracks without levels are kept: their owners may be speaking.
        ranked = sorted((sound.silent, place, key) for place, (key, sound) in enumerate(heard) if sound.silent)
        leave = max(len(heard) - _AT_LEAST, 0)
        silent.update(key for _, _, key in ranked[len(ranked) - min(leave, len(ranked)) :])
    return frozenset(silent)
