"""Detection of other flows on the link: a queue that does not react to our own cut is filled by another sender.

If we send clearly less than the link carried and find the queue just as long a second later, we did not fill it.
Sending still less would only give way, since senders that react to losses alone, such as a TCP download, keep the queue
full. Beside them we behave as they do: our share grows and falls like that of one CUBIC flow (RFC 9438), with the cube
of the time since the last loss, and to 0.7 of it at a loss. This ends when the queue empties. It also ends when the
queue becomes half as long again within a second, and grows fast: then the link has become slower, and the queue is
ours. A download's queue is young for some seconds, and grows more slowly; a long one may grow as fast, but less for its
length. If the queue turns out to be theirs after all, the share is as before.
"""

from collections import deque

_QUEUE_NS = 20_000_000
_ESTABLISHED_NS = 300_000_000
_WINDOW_NS, _PARTS = 1_000_000_000, 4
_CUT = 0.7  # of what arrived at best while the queue stood
_DRAINS, _GROWS = 0.08, 0.15  # seconds per second: our own queue would drain by 0.3 after such a cut
_GONE_NS = 3_000_000_000
_LONGER, _LONGER_NS = 1.5, 50_000_000
_FAST = 0.25  # seconds per second: our own queue grows faster, unless the link became slower by less than a fifth
_REGAINED_NS = 10_000_000_000
_REACH = 2.0  # times the rate that arrived at the last loss, or arrives now
_DOUBT_NS, _LONGEST_DOUBT_NS = 2_000_000_000, 32_000_000_000
_BETA, _C = 0.7, 0.4
_PACKET_BITS = 1200 * 8
_FLOOR = 250_000.0  # bits/s; excessive loss has its own limit
_LONGEST_TRIP_NS = 2_000_000_000
_SECOND = 1_000_000_000


class Competition:
    """Competition on one link. `is_on` is true while others fill its queue; then `share` is our limit in bits/s."""

    def __init__(self) -> None:
        self.is_on = False
        self.share = float("inf")
        self._sent: deque[tuple[int, int]] = deque()
        self._seen: deque[tuple[int, int]] = deque()  # recent (time, queue), without a break
        self._stands_since = 0
        self._peak = 0.0
        self._queued_at = 0
        self._longest = 0  # of the queue, beyond which it must be our own
        self._doubt = _DOUBT_NS
        self._doubted_until = 0
        self._largest = 0.0
        self._since = 0
        self._lost_at = 0
        self._given_up: tuple[int, float] | None = None  # when the queue seemed to be ours, and the share then

    @property
    def peak(self) -> float:
        """The best rate of arrivals (bits/s) since the queue has stood, 0 before."""
        return self._peak

    def sent(self, size: int, now: int) -> None:
        """Take the size of sent packets."""
        self._sent.append((now, size))
        while self._sent[0][0] <= now - _WINDOW_NS - _LONGEST_TRIP_NS:
            self._sent.popleft()

    def update(self, queueing: int, arriving: float, round_trip: int, now: int) -> bool:
        """Take the queueing delay (ns) and the rate of arrivals (bits/s); return True when others are noticed."""
        if queueing < _QUEUE_NS:
            self._seen.clear()
            self._peak = 0.0
            if self.is_on and now - self._queued_at >= _GONE_NS:
                self.is_on, self.share, self._doubt = False, float("inf"), _DOUBT_NS
            return False
        self._queued_at = now
        while self._seen and now - self._seen[0][0] > _WINDOW_NS:
            self._seen.popleft()
        if not self._seen:  # the queue is new, or nothing is known about the time since it was last seen
            self._stands_since, self._peak = now, 0.0
        self._seen.append((now, queueing))
        if now - self._stands_since >= _ESTABLISHED_NS:
            self._peak = max(self._peak, arriving)
        if self.is_on and queueing > self._longest and self._grows_fast(queueing, now):
            self._given_up = (now, self.share)
            self.is_on, self.share, self._peak = False, float("inf"), 0.0
            self._doubted_until = now + self._doubt
            self._doubt = min(2 * self._doubt, _LONGEST_DOUBT_NS)
        if self.is_on:
            self._grow(arriving, round_trip, now)
            return False
        if now < self._doubted_until or now - self._stands_since < _WINDOW_NS or not self._is_unmoved(round_trip, now):
            return False
        self.is_on = True
        self._longest = int(queueing * _LONGER) + _LONGER_NS
        self._largest, self._since, self._lost_at = self._peak, now, now
        if self._given_up is not None and now - self._given_up[0] < _REGAINED_NS:
            self._largest = max(self._largest, self._given_up[1])
        self._grow(arriving, round_trip, now)
        return True

    def lost(self, now: int, round_trip: int) -> None:
        """Note losses, of which at most one counts per round trip."""
        if not self.is_on or now - self._lost_at < round_trip:
            return
        self._lost_at = now
        self._largest, self._since = max(min(self.share, 4 * self._peak or self.share), _FLOOR), now

    def _grows_fast(self, queueing: int, now: int) -> bool:
        """Return True if the queue grew within a second as only one's own does, since the link became slower."""
        since, before = self._seen[0]
        return queueing - before >= _FAST * (now - since) and queueing >= _LONGER * before

    def _is_unmoved(self, round_trip: int, now: int) -> bool:
        """Return True if the queue did not react to a second in which clearly less was sent."""
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

    def _grow(self, arriving: float, round_trip: int, now: int) -> None:
        """Set the share to that of a CUBIC window that was cut at the last loss, but not far above the arriving
        rate.
        """
        trip = max(round_trip, 1) / _SECOND
        largest = self._largest * trip / _PACKET_BITS  # packets
        elapsed = (now - self._since) / _SECOND
        middle = (largest * (1 - _BETA) / _C) ** (1 / 3)
        window = max(_C * (elapsed - middle) ** 3 + largest, largest * _BETA + 0.53 * elapsed / trip)
        reach = _REACH * max(self._largest, arriving)
        self.share = max(min(window * _PACKET_BITS / trip, reach), _FLOOR)
