"""Detection of the active speaker, with hysteresis, from RFC 6464 audio levels.

Each participant has a loudness, the level in dB above the threshold of speech smoothed over a few syllables, which the
engine keeps (`sfu.machines.loudness`). Another participant becomes the speaker after being clearly louder for
`_TAKE_OVER`, or at once when the speaker has fallen silent.
"""

from collections.abc import Hashable, Mapping
from math import exp
from typing import Generic, Protocol, TypeVar

from sfu.machines.loudness import SMOOTHING_NS, SPEAKING

Key = TypeVar("Key", bound=Hashable)

_MARGIN = 3.0  # dB by which a new speaker must be louder
_TAKE_OVER = 400_000_000
_RECENT = 5_000_000_000


class Voice(Protocol):
    """The loudness of a participant; see `sfu.machines.loudness`."""

    @property
    def loudness(self) -> float: ...
    @property
    def heard_at(self) -> int: ...
    @property
    def spoke_at(self) -> int: ...
    @property
    def voice_level(self) -> int: ...
    @property
    def voice_at(self) -> int: ...


class AudioLevels(Generic[Key]):
    """The active speaker of one room; keys identify participants."""

    def __init__(self) -> None:
        self._voices: dict[Key, Voice] = {}
        self._loudness: dict[Key, float] = {}
        self._speaker: Key | None = None
        self._announced: Key | None = None
        self._challenger: Key | None = None
        self._challenged_at = 0

    def remove(self, key: Key) -> None:
        """Remove a participant who muted or left."""
        self._voices.pop(key, None)
        self._loudness.pop(key, None)
        if self._speaker == key:
            self._speaker = None

    def update(self, voices: Mapping[Key, Voice], now: int) -> bool:
        """Take everybody's voice (call every 100–300 ms); return whether `speaker` changed since the last update."""
        self._voices = dict(voices)
        self._loudness = {key: _loudness(voice, now) for key, voice in voices.items()}
        if self._speaker not in voices:
            self._speaker = None
        self._choose(now)
        changed = self._speaker != self._announced
        self._announced = self._speaker
        return changed

    def _choose(self, now: int) -> None:
        loudness = self._loudness
        best = max(loudness, key=lambda key: loudness[key], default=None)
        if best is None or best == self._speaker or loudness[best] < SPEAKING:
            self._challenger = None
            return
        current = loudness[self._speaker] if self._speaker is not None else 0.0
        if current >= SPEAKING and not self._has_taken_over(best, current, now):
            return
        self._speaker, self._challenger = best, None

    def _has_taken_over(self, best: Key, current: float, now: int) -> bool:
        if self._loudness[best] < current + _MARGIN:
            self._challenger = None
            return False
        if self._challenger != best:
            self._challenger, self._challenged_at = best, now
        return now - self._challenged_at >= _TAKE_OVER

    @property
    def speaker(self) -> Key | None:
        """The active speaker; the last one while all are silent."""
        return self._speaker

    def loudest(self, count: int) -> list[Key]:
        """Return up to `count` participants who have spoken within 5 s of the newest level, loudest first."""
        newest = max((voice.heard_at for voice in self._voices.values()), default=0)
        recent = [key for key, voice in self._voices.items() if voice.spoke_at and newest - voice.spoke_at <= _RECENT]
        return sorted(recent, key=lambda key: -self._loudness[key])[:count]


def _loudness(voice: Voice, now: int) -> float:
    """Return the current loudness, which fades while no packets arrive (muted, or DTX)."""
    since = now - voice.heard_at
    return voice.loudness * exp(-since / SMOOTHING_NS) if since > SMOOTHING_NS else voice.loudness
