"""Media that arrives before a peer's keys: the side that completes the handshake may send packets along with its end.

Encoders begin with a keyframe, and some never send another on request. So packets are held for a moment and processed
when the keys are there.
"""

from collections import Counter, deque

from sfu.engine.contract import Drop, Leftover

_HELD_NS = 100_000_000
_MAX_HELD = 256
"""A number of packets: a large keyframe and the audio that arrives with it."""


class EarlyMedia:
    """Early packets of one peer. Packets beyond the limits of age and number are counted in `drops`."""

    def __init__(self, drops: Counter[Drop]) -> None:
        self._drops = drops
        self._held: deque[Leftover] = deque()

    def hold(self, leftover: Leftover) -> None:
        """Keep a packet; if there are too many, drop the oldest."""
        self._held.append(leftover)
        self._forget(leftover.arrival)

    def take(self, now: int) -> list[Leftover]:
        """Return the packets that are still useful, in order of arrival, and release them."""
        self._forget(now)
        held = list(self._held)
        self._held.clear()
        return held

    def give_up(self) -> None:
        """Drop everything: there will be no keys."""
        self._drops[Drop.NO_KEYS] += len(self._held)
        self._held.clear()

    def _forget(self, now: int) -> None:
        while self._held and (len(self._held) > _MAX_HELD or now - self._held[0].arrival > _HELD_NS):
            self._held.popleft()
            self._drops[Drop.NO_KEYS] += 1
