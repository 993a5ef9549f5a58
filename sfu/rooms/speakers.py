"""Speakers in a room, for the `speakers` message and for the loudest N."""

from collections.abc import Mapping

from sfu.api.signaling_values import Speaker
from sfu.machines.audio_levels import AudioLevels, Voice

_MAX_LISTED = 5
_QUIET_NS = 1_000_000_000


class Speakers:
    """Levels of a room's microphones (RFC 6464), by participant."""

    def __init__(self) -> None:
        self._levels: AudioLevels[str] = AudioLevels()
        self._told: tuple[str, ...] = ()
        self._loudest: frozenset[str] = frozenset()

    @property
    def active(self) -> str | None:
        """The speakers as last reported."""
        return self._told[0] if self._told else None

    def remove(self, participant: str) -> None:
        """Note that a participant muted or left."""
        self._levels.remove(participant)

    def update(self, voices: Mapping[str, Voice], now: int) -> list[Speaker] | None:
        """Return the speakers, loudest first, if they changed since the last call."""
        self._levels.update(voices, now)
        speaking = [
            participant
            for participant in self._levels.loudest(_MAX_LISTED)
            if now - voices[participant].voice_at < _QUIET_NS
        ]
        active = self._levels.speaker
        if active in speaking:
            speaking.remove(active)
            speaking.insert(0, active)
        if tuple(speaking) == self._told:
            return None
        self._told = tuple(speaking)
        return [Speaker(participant=who, level=voices[who].voice_level) for who in speaking]

    def loudest(self, count: int) -> list[str]:
        """Return up to `count` participants who have spoken lately, loudest first."""
        return self._levels.loudest(count)

    def loudest_changed(self, count: int) -> bool:
        """Return True if the `count` loudest have changed since the last call."""
        before, self._loudest = self._loudest, frozenset(self.loudest(count))
        return before != self._loudest
