"""Redundant audio for a subscriber: second copies on a lossy link that has room for them.

Audio is small and cannot wait for a round trip. If packets are lost at random, a second copy about 20 ms later is worth
its cost: at 10 % loss one packet in a hundred is missing instead of one in ten, and that one is still requested again.
From 8 % loss on a third copy follows after another 20 ms, where it takes no room that pictures need. A link that loses
packets because it is full gets no copies, which would fill it further.
"""

_ON_LOSS, _OFF_LOSS = 0.01, 0.002  # without pictures, copies hide losses, hence the distance
_ON_SHARE, _OFF_SHARE = 0.15, 0.25  # the largest share of the estimate up to which audio is sent twice
_THIRD_LOSS, _THIRD_SHARE = 0.08, 0.05
_HOLD_NS = 15_000_000_000


class AudioRedundancy:
    """The decision for one subscriber. `is_on`: second copies are sent; `has_third`: third ones too."""

    def __init__(self) -> None:
        self.is_on = self.has_third = False
        self._lossy_at = 0

    def update(self, loss: float, share: float, now: int, *, is_full: bool = False) -> bool:
        """Take the share of packets lost and the share of the estimate that audio needs (0..1 each); return `is_on`.

        A link that `is_full` gets no third copies.
        """
        if loss > _OFF_LOSS:
            self._lossy_at = now
        if self.is_on:
            self.is_on = share <= _OFF_SHARE and now - self._lossy_at < _HOLD_NS
        else:
            self.is_on = loss >= _ON_LOSS and share <= _ON_SHARE
        self.has_third = self.is_on and not is_full and loss >= _THIRD_LOSS and share <= _THIRD_SHARE
        return self.is_on
