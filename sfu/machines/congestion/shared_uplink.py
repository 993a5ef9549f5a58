"""Detection of other flows on a publisher's uplink, such as an upload (see `competition`), and the share beside them.

The publisher's own estimator would give way to them until nothing is left. It cannot know whose queue it is. While we
know that it is the others', feedback hides it (`uplink_delay`), and we tell the publisher its share.
"""

from collections import deque

from sfu.machines.congestion.competition import Competition
from sfu.machines.congestion.uplink_delay import UplinkWindow

_RATE_NS = 500_000_000
_EMPTY_TRIP_NS = 50_000_000
_LONGEST_NS = 600_000_000_000  # clocks drift apart meanwhile, which looks like a queue that never empties
_GROWTH = 0.04  # a second
_SECOND = 1_000_000_000


class SharedUplink:
    """The uplink of one publish peer. `is_shared` is true while others fill its queue.

    `share` is the publisher's limit in bits/s, infinite without others. It neither falls at each loss, as that of a TCP
    flow does, nor rises as fast: each layer that begins or ends costs a keyframe, whose burst would overflow the queue.
    """

    def __init__(self) -> None:
        self.is_shared = False
        self.share = float("inf")
        self._competition = Competition()
        self._windows: deque[UplinkWindow] = deque()
        self._trip = _EMPTY_TRIP_NS
        self._since = 0

    def update(self, window: UplinkWindow) -> bool:
        """Take a window; return True if `is_shared` changes."""
        if self.is_shared and window.until - self._since >= _LONGEST_NS:
            self._competition = Competition()
        elapsed = window.until - self._windows[-1].until if self._windows else 0
        self._trip = _EMPTY_TRIP_NS + window.queueing
        self._competition.sent(window.size, window.until - window.queueing)
        self._competition.update(window.queueing, self._arriving(window), self._trip, window.until)
        was_shared, self.is_shared = self.is_shared, self._competition.is_on
        share = self._competition.steady_share
        if was_shared and self.is_shared:
            share = min(share, self.share * (1 + _GROWTH * elapsed / _SECOND))
        elif self.is_shared:
            self._since = window.until
        self.share = share
        return self.is_shared is not was_shared

    def lost(self, now: int) -> None:
        """Note that packets are missing."""
        self._competition.lost(now, self._trip)

    def _arriving(self, window: UplinkWindow) -> float:
        """Return the rate of arrivals, in bits/s; 0 until it is known."""
        self._windows.append(window)
        while window.until - self._windows[0].until > _RATE_NS:
            self._windows.popleft()
        elapsed = window.until - self._windows[0].until
        size = sum(entry.size for entry in self._windows) - self._windows[0].size
        return size * 8 * _SECOND / elapsed if elapsed >= _RATE_NS // 2 else 0.0
