"""Tolerance of short dips: layers are kept although the estimate is somewhat below their cost.

Switching to a layer of a third of the bitrate and back takes two keyframes and some seconds; a queue that grows for a
moment disturbs less. So a dip of limited depth is tolerated for a while, as long as the queue stays short. If the only
video would be paused, it is tolerated indefinitely: an estimate is hardly exact enough to justify showing nothing. A
longer queue, or a deeper dip, is tolerated for long enough to see who filled the queue: this sender, or others on the
link. At a high loss, only the last video is kept, and only if no queue remains after the time that it needs to drain:
a short queue can overflow without long waits.
"""

_DEPTH = 1.6  # the maximum cost of the sent layers, as a multiple of the estimate
_LONGEST_NS = 2_500_000_000
_QUEUE_NS = 200_000_000
_LAST_NS = 2_000_000_000
_MUCH_LOST = 0.08
_DRAIN_NS = 500_000_000  # the time that a queue gets to drain after the estimate has fallen because of it
_SHORT_QUEUE_NS = 30_000_000  # a queue this short causes no losses, so they are over, or they are the link's own


class Dips:
    """The tolerance for one subscriber."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._deep_since: int | None = None

    def sit_out(
        self, rate: float, carried: float, queueing: int, now: int, *, loss: float = 0.0, is_last: bool = False
    ) -> float:
        """Return the bits/s to grant: `rate`, or the cost of what is `carried` now. Packets wait for `queueing` ns.

        `is_last`: only one picture is sent, in its lowest layer. `loss` is the share of packets lost.
        """
        if carried <= rate:
            self._since = self._deep_since = None
            return rate
        if self._since is None:
            self._since = now
        loses = loss >= _MUCH_LOST
        is_shallow = carried <= rate * _DEPTH
        drains = queueing < _SHORT_QUEUE_NS or (is_shallow and now - self._since < _DRAIN_NS)
        if loses and not (is_last and drains):
            return rate
        lasts = now - self._since >= _LONGEST_NS and not is_last
        if is_shallow and queueing < _QUEUE_NS and not loses:
            self._deep_since = None
            return rate if lasts else carried
        if self._deep_since is None:
            self._deep_since = now
        return carried if is_last and now - self._deep_since < _LAST_NS else rate
