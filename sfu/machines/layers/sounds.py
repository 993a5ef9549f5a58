"""Choice of audio tracks to leave out on a thin link: silent microphones that, without DTX, send as much as speech.

If audio would take more than a fifth of the estimate, participants who have been silent for some seconds are left out.
If it would still take much of it, only three are sent: the speaker, and the loudest of those who spoke last. A track
returns when its owner speaks.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_THIN, _AMPLE = 0.2, 0.15  # of the estimate, for all audio together
_VERY_THIN = 0.4
_AT_LEAST = 3
_SILENT_NS = 3_000_000_000
_KEPT = 3.0  # dB by which another must be louder to be sent instead
_PAUSE_NS = 1_000_000_000  # between words; after it, others come first
_WITHOUT_DTX = 12_000.0  # bits/s; with DTX, silence takes less


class Sound(NamedTuple):
    """An audio track: its rate (bits/s), how long (ns) its owner has been silent, None if unknown, and how loud it is
    (dB above silence); `is_speaker` is true for the room's speaker.
    """

    rate: float
    silent: int | None
    loudness: float = 0.0
    is_speaker: bool = False


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
        ranked = [
            (not sound.is_speaker, sound.silent >= _PAUSE_NS, -sound.loudness - (key not in before) * _KEPT, place)
            for place, (key, sound) in enumerate(heard)
            if sound.silent is not None
        ]
        leave = min(max(len(heard) - _AT_LEAST, 0), len(ranked))
        silent.update(heard[place][0] for *_, place in sorted(ranked)[len(ranked) - leave :])
    return frozenset(silent)
