"""Detection of the active speaker, with hysteresis, from RFC 6464 audio levels.

Each participant has a loudness, the level in dB above the threshold smoothed over a few syllables. Another participant
takes over after being clearly louder than the speaker for `_TAKE_OVER`, or at once when the speaker has fallen silent.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from math import exp
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_SILENCE_LEVEL = 60  # −dBov; quieter is no speech
_SMOOTHING = 250_000_000
_SPEAKING = 6.0  # loudness in dB over _SILENCE_LEVEL from which somebody speaks
_MARGIN = 3.0  # dB by which to be louder than the speaker
_TAKE_OVER = 400_000_000
_RECENT = 5_000_000_000


@dataclass(slots=True)
class _Voice:
    loudness: float
    updated: int
    spoke_at: int | None = None

    def move(self, loudness: float, now: int) -> None:
        """Let the smoothed loudness approach `loudness` for the time since the last call."""
        if now > self.updated:
            self.loudness = loudness + (self.loudness - loudness) * exp((self.updated - now) / _SMOOTHING)
            self.updated = now


class AudioLevels(Generic[Key]):
    """One per room; keys are whatever names a participant. Levels are −dBov: 0 loudest, 127 silence."""

    def __init__(self) -> None:
        self._voices: dict[Key, _Voice] = {}
        self._speaker: Key | None = None
        self._announced: Key | None = None
        self._challenger: Key | None = None
        self._challenged_at = 0

    def level(self, key: Key, level: int, voice: bool, arrival: int) -> None:
        """Take the level of a packet of this participant. Without the voice bit, only half of it counts."""
        loudness = float(max(0, _SILENCE_LEVEL - level))
        if not voice:
            loudness /= 2
        state = self._voices.get(key)
        if state is None:
            self._voices[key] = state = _Voice(0.0, arrival - 20_000_000)
        state.move(loudness, arrival)
        if state.loudness >= _SPEAKING:
            state.spoke_at = arrival

    def remove(self, key: Key) -> None:
        """The participant muted or left."""
        self._voices.pop(key, None)
        if self._speaker == key:
            self._speaker = None

    def update(self, now: int) -> bool:
        """Recompute (call every 100–300 ms); return whether `speaker` changed since the last update."""
        self._choose(now)
        changed = self._speaker != self._announced
        self._announced = self._speaker
        return changed

    def _choose(self, now: int) -> None:
        for voice in self._voices.values():
            if now - voice.updated > _SMOOTHING:
                voice.move(0.0, now)
        best = max(self._voices, key=lambda key: self._voices[key].loudness, default=None)
        if best is None or best == self._speaker or self._voices[best].loudness < _SPEAKING:
            self._challenger = None
            return
        current = self._voices.get(self._speaker) if self._speaker is not None else None
        if current is not None and current.loudness >= _SPEAKING and not self._has_taken_over(best, current, now):
            return
        self._speaker, self._challenger = best, None

    def _has_taken_over(self, best: Key, current: _Voice, now: int) -> bool:
        if self._voices[best].loudness < current.loudness + _MARGIN:
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
        newest = max((voice.updated for voice in self._voices.values()), default=0)
        recent = [
            key
            for key, voice in self._voices.items()
            if voice.spoke_at is not None and newest - voice.spoke_at <= _RECENT
        ]
        return sorted(recent, key=lambda key: -self._voices[key].loudness)[:count]
