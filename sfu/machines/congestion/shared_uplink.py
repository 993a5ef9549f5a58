"""Detection of other flows on a publisher's uplink, such as an upload (see `competition`), and the share beside them.

The publisher's own estimator would give way to them until nothing is left. It cannot know whose queue it is. While we
know that it is the others', feedback hides it (`uplink_delay`), and we tell the publisher its share.
"""

from collections import deque

from sfu.machines.congestion.competition import Competition
from sfu.machines.congestion.uplink_delay import UplinkWindow

_RATE_NS = 500_000_000
_SHARE = 0.5  # of what arrived at best, since there are at least two now
_LOSS, _GROWTH = 0.875, 0.04  # at a loss; a second
_LOSSES_NS = 1_000_000_000
_REACH = 2.0  # times the rate that arrives
_FLOOR = 300_000.0  # bits/s
_LONGEST_NS = 600_000_000_000  # clocks drift apart meanwhile, which looks like a queue that never empties
_SECOND = 1_000_000_000


class SharedUplink:
    """The uplink of one publish peer. `is_shared` is true while others fill its queue.

    `share` is the publisher's limit in bits/s, infinite without others. It falls less at a loss than that of a TCP flow
    (RFC 9438), and rises more slowly, up to what the publisher sent alone: each layer that begins or ends costs a
    keyframe, whose burst would overflow the queue.
    """

    def __init__(self) -> None:
        self.is_shared = False
        self.share = float("inf")
        self._competition = Competition()
        self._windows: deque[UplinkWindow] = deque()
        self._since = self._lost_at = 0
        self._most = float("inf")

    @property
    def queue(self) -> int:
        """The time (ns) that packets wait while others fill the queue, 0 if they do not."""
        return self._windows[-1].queueing if self.is_shared else 0

    def update(self, window: UplinkWindow) -> bool:
        """Take a window; return True if `is_shared` changes."""
        if self.is_shared and window.until - self._since >= _LONGEST_NS:
            self._competition = Competition()
        elapsed = window.until - self._windows[-1].until if self._windows else 0
        arriving = self._arriving(window)
        self._competition.sent(window.size, window.until - window.queueing)
        self._competition.update(window.queueing, arriving, window.queueing, window.until)
        was_shared, self.is_shared = self.is_shared, self._competition.is_on
        if not self.is_shared:
            self.share = float("inf")
        elif not was_shared:
            self._since = window.until
            self._most = max(self._competition.peak, _FLOOR)
            self.share = max(_SHARE * self._most, _FLOOR)
        elif self.share < _REACH * arriving:
            self.share = min(self.share * (1 + _GROWTH * elapsed / _SECOND), self._most)
        return self.is_shared is not was_shared

    def lost(self, now: int) -> None:
        """Note that packets are missing."""
        if self.is_shared and now - self._lost_at >= _LOSSES_NS:
            self._lost_at = now
            self.share = max(_LOSS * self.share, _FLOOR)

    def _arriving(self, window: UplinkWindow) -> float:
        """Return the rate of arrivals, in bits/s; 0 until it is known."""
        self._windows.append(window)
        while window.until - self._windows[0].until > _RATE_NS:
            self._windows.popleft()
        elapsed = window.until - self._windows[0].until
        size = sum(entry.size for entry in self._windows) - self._windows[0].size
        return size * 8 * _SECOND / elapsed if elapsed >= _RATE_NS // 2 else 0.0
