"""Others on the link: a queue that does not answer to one's own cut is filled by somebody else, as by a TCP download.

Who sends clearly less than the link carried, and finds the queue as long as before a second later, did not fill it. To
send still less would only give way: such a queue is held at its length by senders that look at losses alone. Beside
them this one does as they do. Its share grows and falls as that of one CUBIC flow (RFC 9438): with the cube of the time
since the last loss, by 0.7 at a loss. A queue that empties ends it. So does one that becomes far longer than it was: it
was the link that had become slower, and the queue is one's own.
"""

from collections import deque

_QUEUE_NS = 20_000_000
_ESTABLISHED_NS = 300_000_000
_WINDOW_NS, _PARTS = 1_000_000_000, 4
_CUT = 0.7  # of what arrived at best while the queue stood
_DRAINS, _GROWS = 0.08, 0.15  # seconds a second: a queue of one's own drains by 0.3 after such a cut
_GONE_NS = 3_000_000_000
_LONGER, _LONGER_NS = 1.5, 50_000_000
_DOUBT_NS, _LONGEST_DOUBT_NS = 2_000_000_000, 32_000_000_000
_BETA, _C = 0.7, 0.4
_PACKET_BITS = 1200 * 8
_FLOOR = 250_000.0  # bits/s; loss beyond reason has its own limit
_LONGEST_TRIP_NS = 2_000_000_000
_SECOND = 1_000_000_000


class Competition:
    """One per link. `is_on` while others fill it; then `share` is the limit in bits/s."""

    def __init__(self) -> None:
        self.is_on = False
        self.share = float("inf")
        self._sent: deque[tuple[int, int]] = deque()
        self._seen: deque[tuple[int, int]] = deque()  # (when, queue) of late, without a break
        self._stands_since = 0
        self._peak = 0.0
        self._queued_at = 0
        self._longest = 0  # of the queue, before it must be one's own
        self._doubt = _DOUBT_NS
        self._doubted_until = 0
        self._largest = 0.0
        self._since = 0
        self._lost_at = 0

    def sent(self, size: int, now: int) -> None:
        """Take `size` bytes that went out."""
        self._sent.append((now, size))
        while self._sent[0][0] <= now - _WINDOW_NS - _LONGEST_TRIP_NS:
            self._sent.popleft()

    def update(self, queueing: int, arriving: float, round_trip: int, now: int) -> bool:
        """Take how long packets wait, in ns, and what arrives, in bits/s; return True when others are noticed."""
        if queueing < _QUEUE_NS:
            self._seen.clear()
            self._peak = 0.0
            if self.is_on and now - self._queued_at >= _GONE_NS:
                self.is_on, self.share, self._doubt = False, float("inf"), _DOUBT_NS
            return False
        self._queued_at = now
        if not self._seen:
            self._stands_since = now
        self._seen.append((now, queueing))
        while now - self._seen[0][0] > _WINDOW_NS:
            self._seen.popleft()
        if now - self._stands_since >= _ESTABLISHED_NS:
            self._peak = max(self._peak, arriving)
        if self.is_on and queueing > self._longest:
            self.is_on, self.share, self._peak = False, float("inf"), 0.0
            self._doubted_until = now + self._doubt
            self._doubt = min(2 * self._doubt, _LONGEST_DOUBT_NS)
        if self.is_on:
            self._grow(round_trip, now)
            return False
        if now < self._doubted_until or now - self._stands_since < _WINDOW_NS or not self._is_unmoved(round_trip, now):
            return False
        self.is_on = True
        self._longest = int(queueing * _LONGER) + _LONGER_NS
        self._largest, self._since, self._lost_at = self._peak, now, now
        self._grow(round_trip, now)
        return True

    def lost(self, now: int, round_trip: int) -> None:
        """Note losses: at most one a round trip counts."""
        if not self.is_on or now - self._lost_at < round_trip:
            return
        self._lost_at = now
        self._largest, self._since = max(min(self.share, 4 * self._peak or self.share), _FLOOR), now

    def _is_unmoved(self, round_trip: int, now: int) -> bool:
        """Return True if the queue did not answer to a second in which clearly less was sent."""
        until = now - min(round_trip, _LONGEST_TRIP_NS)
        sent = sum(size for at, size in self._sent if until - _WINDOW_NS < at <= until) * 8.0
        if not 0 < sent <= _CUT * self._peak:
            return False
        length = _WINDOW_NS // _PARTS
        shortest: dict[int, int] = {}
        for at, queue in self._seen:
            part = min((now - at) // length, _PARTS - 1)
            shortest[part] = min(queue, shortest.get(part, queue))
        newest = shortest.pop(0)
        return all(
            -_GROWS * part * length <= queue - newest <= _DRAINS * part * length for part, queue in shortest.items()
        )

    def _grow(self, round_trip: int, now: int) -> None:
        """Set the share as a CUBIC window would be `now`, its largest having been cut at the last loss."""
        trip = max(round_trip, 1) / _SECOND
        largest = self._largest * trip / _PACKET_BITS  # packets
        elapsed = (now - self._since) / _SECOND
        reach = (largest * (1 - _BETA) / _C) ** (1 / 3)
        window = max(_C * (elapsed - reach) ** 3 + largest, largest * _BETA + 0.53 * elapsed / trip)
        self.share = max(window * _PACKET_BITS / trip, _FLOOR)
