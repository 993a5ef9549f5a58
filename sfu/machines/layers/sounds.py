"""Sounds that a thin link is spared: those of silent microphones that send as much as if somebody spoke, without DTX.

Where sound would take more than a fifth of the estimate, who has been silent for some seconds is left out. Where it
would still take much of it, only the three who spoke last are heard. What is left out comes back when its owner speaks.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_THIN, _AMPLE = 0.2, 0.15  # of the estimate that all sounds may take
_VERY_THIN = 0.4
_AT_LEAST = 3
_SILENT_NS = 3_000_000_000
_WITHOUT_DTX = 12_000.0  # bits/s; with DTX silence takes less


class Sound(NamedTuple):
    """Bits/s, and for how many ns its owner has been silent; None where nothing tells."""

    rate: float
    silent: int | None


def spared(sounds: Sequence[tuple[Key, Sound]], estimate: float, before: frozenset[Key]) -> frozenset[Key]:
    """Return which sounds to leave out of a link estimated at `estimate` bits/s; `before` were left out so far."""
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
        # Of those who may be speaking nobody tells which matter: who tells nothing goes on.
        ranked = sorted((sound.silent, place, key) for place, (key, sound) in enumerate(heard) if sound.silent)
        leave = max(len(heard) - _AT_LEAST, 0)
        silent.update(key for _, _, key in ranked[len(ranked) - min(leave, len(ranked)) :])
    return frozenset(silent)
