"""Who speaks: active speaker with hysteresis from RFC 6464 audio levels."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class AudioLevels(Generic[Key]):
    """One per room; keys are whatever names a participant. Levels are −dBov: 0 loudest, 127 silence."""

    def __init__(self) -> None:
        raise NotImplementedError

    def level(self, key: Key, level: int, voice: bool, arrival: int) -> None:
        """Take the level of a packet of this participant."""
        raise NotImplementedError

    def remove(self, key: Key) -> None:
        """The participant muted or left."""
        raise NotImplementedError

    def update(self, now: int) -> bool:
        """Recompute (call every 100–300 ms); return whether `speaker` changed."""
        raise NotImplementedError

    @property
    def speaker(self) -> Key | None:
        """The active speaker; the last one while all are silent."""
        raise NotImplementedError

    def loudest(self, count: int) -> list[Key]:
        """Return up to `count` participants who have spoken lately, loudest first."""
        raise NotImplementedError
