"""The pause between two reads of the sockets under load.

Rare polls save time, since packets that are read together are handled and sent together. Frequent polls save waiting.
An idle node polls several times in a millisecond; the less idle time there is, the rarer the polls.
"""

MIN_NS = 200_000
MAX_NS = 1_000_000
_WINDOW_NS = 100_000_000


class LookPause:
    """Takes the duration of every step of the loop and decides the next pause. Times are in ns."""

    def __init__(self) -> None:
        self._window_begun = 0
        self._spent = 0
        self._idle = 1.0
        self.pause = MIN_NS
        """The pause before the next poll."""

    def spent(self, begun: int, ended: int) -> None:
        """Take the duration of a step."""
        self._spent += ended - begun
        elapsed = ended - self._window_begun
        if elapsed >= _WINDOW_NS:
            self._idle = max(0.0, 1 - self._spent / elapsed)
            self._window_begun, self._spent = ended, 0
            self.pause = int(MIN_NS / max(self._idle, MIN_NS / MAX_NS))

    @property
    def busy(self) -> float:
        """The share of time that steps took lately, 0 to 1."""
        return 1 - self._idle
