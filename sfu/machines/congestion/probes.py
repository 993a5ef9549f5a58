"""Probing: sending faster than the estimate for a moment, and judging the result.

After libwebrtc's ProbeController and ProbeBitrateEstimator. A cluster of at least five packets in 25 ms or more is sent
at a rate above the estimate; if it arrives as fast as it was sent, the link carries that rate. At the start two
clusters follow each other. Later a cluster is sent when more is wanted than the estimate grants; the next follows
sooner after a success, and later after each failure.
"""

from typing import NamedTuple

from sfu.machines.congestion.send_history import PacketResult

_MIN_PACKETS = 5
_MIN_SIZE = _MIN_PACKETS * 1200  # jitter distorts shorter clusters
_LEAST_SIZE = _MIN_PACKETS * 290  # on narrow links: packets of padding alone
_DURATION_NS = 25_000_000
_LONGEST_NS = 80_000_000  # on narrow links, where packets are small and audio must not wait for long
_MAX_STRETCH = 4  # times the duration, if the machine is too busy to send shorter clusters at their rate
_START_SCALES = (2.0, 4.0)
_SCALE = 2.0
_CAREFUL_SCALE = 1.5  # after the link was full: it probably still is, and audio would wait behind the excess
_ENOUGH = 1.1
_SUCCESS = 0.85  # of the probed rate: above, a faster probe follows at once; below, it is the link's capacity
_FARTHER = 1.05  # times the old estimate: another probe is soon worthwhile
_INTERVAL_NS = 2_000_000_000
_MAX_INTERVAL_NS = 3_000_000_000
_REPEAT_NS = 300_000_000
_SOON_NS = 1_000_000_000
_AFTER_DECREASE_NS = 1_000_000_000
_COST = 0.05  # of the estimate at most, unless one success follows another
_RESULT_NS = 1_000_000_000
_LEAST_PACKETS = 3  # of a cluster that was lost in part
_SHARE = 0.8  # of a cluster's packets and bytes that must have arrived
_MAX_RATIO = 2.0  # a rate of arrivals far above that of sending is a measuring error
_SATURATED = 0.9
_TARGET = 0.95
_QUEUE_NS = 15_000_000
_STANDS = 0.7
_UNEVEN = 0.5
_MAX_INTERVAL_OF_CLUSTER = 1_000_000_000
_MAX_CLUSTERS = 8
_SECOND = 1_000_000_000


class ProbeCluster(NamedTuple):
    """Send `size` bytes at `rate` bits/s, in five packets or more; `cluster` marks the packets."""

    cluster: int
    rate: int
    size: int


class ProbeControl:
    """Decides when to probe. One cluster is under way at a time."""

    def __init__(self) -> None:
        self._clusters = 0
        self._pending: list[float] = []
        self._started = False
        self._probing: ProbeCluster | None = None
        self._failed: ProbeCluster | None = None  # the newest, if its result was below its rate
        self._probed_at = 0
        self._stretch = 1
        self._interval = _INTERVAL_NS
        self._next = 0
        self._maximum = float("inf")
        self._estimate = 0.0  # when the last one was sent
        self._is_careful = False
        self._affordable_at = self._held_until = 0

    def start(self, rate: float, maximum: float) -> None:
        """Note that media begins at the start rate, so it should soon be found out how much more the link carries."""
        if not self._started:
            self._started = True
            self._maximum = maximum
            self._pending = [rate * scale for scale in _START_SCALES]

    def decreased(self, now: int) -> None:
        """Note that the estimate was lowered because the link is full: do not probe for a moment."""
        self._pending.clear()
        self._held_until = now + _AFTER_DECREASE_NS
        self._next = max(self._next, self._held_until)

    def repeat(self, now: int) -> None:
        """Probe again soon, since the last result is doubtful."""
        self._next = now + _REPEAT_NS

    def result(self, cluster: int, measured: "ProbeResult", now: int) -> None:
        """Take a cluster's measurement; it counts once, and only while that cluster is the newest.

        It is measured before the last packets arrive, and again with each of them: a failure is taken back if all of
        them show more. A cluster that arrived as fast as a busy machine sent it says nothing against the link, however
        slow that was.
        """
        probing, rate = self._probing or self._failed, measured.rate
        if probing is None or probing.cluster != cluster:
            return
        leads_on = rate > self._estimate * _FARTHER
        is_reached = rate >= _SUCCESS * probing.rate
        says_nothing = measured.is_least and not is_reached
        is_success = is_reached or (says_nothing and leads_on)
        is_failure = not is_reached and not says_nothing
        if self._probing is None and is_failure:
            return
        self._probing, self._failed = None, probing if is_failure else None
        if is_reached:
            self._stretch = 1
        elif says_nothing and not leads_on:
            self._stretch = min(self._stretch * 2, _MAX_STRETCH)
        self._is_careful = is_failure
        if self._is_careful:
            self._pending.clear()
        if is_success and leads_on:
            self._interval = _INTERVAL_NS
            if not self._pending:
                self._next = now
            return
        if leads_on or not self._is_careful:
            wait, self._interval = _SOON_NS, _INTERVAL_NS
        else:
            wait = self._interval
            self._interval = min(self._interval * 2, _MAX_INTERVAL_NS)
        if not self._pending:
            self._next = max(now + wait, self._affordable_at)

    def expire(self, now: int) -> int:
        """Give up the cluster under way if its result is overdue; return its number, -1 for none."""
        probing = self._probing
        if probing is None or now - self._probed_at < _RESULT_NS:
            return -1
        self._probing = None
        self._is_careful = True
        self._next = max(self._next, now + self._interval)
        self._interval = min(self._interval * 2, _MAX_INTERVAL_NS)
        return probing.cluster

    def next(
        self, estimate: float, wanted: float, now: int, *, is_free: bool, is_limited: bool = False
    ) -> ProbeCluster | None:
        """Return the cluster to send now.

        `is_free`: neither delay nor loss shows that the link is full. `is_limited`: little of the estimate is used, so
        only probes can raise it, and there is room for them.
        """
        if not self._started:
            return None
        self.expire(now)
        if self._probing is not None:
            return None
        if not is_free:
            self._pending.clear()
            return None
        self._estimate = estimate
        ceiling = min(self._maximum, wanted * _ENOUGH)
        self._pending = [rate for rate in self._pending if rate > estimate]
        if self._pending and ceiling > estimate:  # else kept, since layers may cost more than it seems
            return self._cluster(min(self._pending.pop(0), ceiling), now)
        due = self._next
        if is_limited:
            due = min(due, max(self._probed_at + _SOON_NS, self._affordable_at, self._held_until))
        if now < due or estimate >= wanted or ceiling <= estimate:
            return None
        scale = _CAREFUL_SCALE if self._is_careful else _SCALE
        return self._cluster(min(scale * estimate, ceiling), now)

    def _cluster(self, rate: float, now: int) -> ProbeCluster:
        self._clusters += 1
        lasting = min(_MIN_SIZE, max(int(rate * _LONGEST_NS / (8 * _SECOND)), _LEAST_SIZE))
        size = max(int(rate * _DURATION_NS * self._stretch / (8 * _SECOND)), lasting)
        self._probing, self._failed = ProbeCluster(self._clusters, int(rate), size), None
        self._probed_at = now
        self._next = now + self._interval
        self._affordable_at = now + int(size * 8 * _SECOND / (self._estimate * _COST))
        return self._probing


class ProbeResult(NamedTuple):
    """The measured rate in bits/s. `fills`: it was less than the sent rate, and a queue grew until the end. `is_least`:
    all of the cluster arrived as fast as it was sent, or was sent in bursts far apart, so the link may carry more.
    """

    rate: float
    fills: bool = False
    is_least: bool = False


class _Measured:
    __slots__ = (
        "first_delay",
        "first_received",
        "first_sent",
        "first_size",
        "last_delay",
        "last_received",
        "last_sent",
        "last_size",
        "longest_delay",
        "longest_pause",
        "packets",
        "size",
    )

    def __init__(self, sent: int, arrival: int, size: int) -> None:
        self.first_sent = self.last_sent = sent
        self.first_received = self.last_received = arrival
        self.first_size = self.last_size = size
        self.first_delay = self.last_delay = self.longest_delay = arrival - sent
        self.longest_pause = 0
        self.size = size
        self.packets = 1

    @property
    def is_queueing(self) -> bool:
        """True if delays grew by more than jitter and were longest at the end, which is unlike a busy receiver."""
        grown = self.last_delay - self.first_delay
        return grown >= _QUEUE_NS and grown >= _STANDS * (self.longest_delay - self.first_delay)

    @property
    def is_uneven(self) -> bool:
        """True if a busy machine sent nothing for most of the time, so packets waited for each other."""
        return self.longest_pause > _UNEVEN * (self.last_sent - self.first_sent)


class ProbeResults:
    """Measures clusters; fed with the results of their packets."""

    def __init__(self) -> None:
        self._clusters: dict[int, _Measured] = {}
        self._sizes: dict[int, int] = {}

    def begun(self, cluster: ProbeCluster) -> None:
        """Note that a cluster is being sent."""
        self._sizes[cluster.cluster] = cluster.size
        while len(self._sizes) > _MAX_CLUSTERS:
            oldest = next(iter(self._sizes))
            del self._sizes[oldest]
            self._clusters.pop(oldest, None)

    def received(self, result: PacketResult) -> ProbeResult | None:
        """Take a packet that arrived; return the link's rate once enough of the cluster has arrived."""
        if result.arrival is None or result.cluster not in self._sizes:
            return None
        measured = self._clusters.get(result.cluster)
        if measured is None:
            self._clusters[result.cluster] = _Measured(result.sent, result.arrival, result.size)
            return None
        measured.first_sent = min(measured.first_sent, result.sent)
        measured.longest_pause = max(measured.longest_pause, result.sent - measured.last_sent)
        if result.sent >= measured.last_sent:
            measured.last_sent, measured.last_size = result.sent, result.size
            measured.last_delay = result.arrival - result.sent
        measured.longest_delay = max(measured.longest_delay, result.arrival - result.sent)
        if result.arrival < measured.first_received:
            measured.first_received, measured.first_size = result.arrival, result.size
        measured.last_received = max(measured.last_received, result.arrival)
        measured.size += result.size
        measured.packets += 1
        if measured.packets < _MIN_PACKETS * _SHARE or measured.size < self._sizes[result.cluster] * _SHARE:
            return None
        return _rate(measured, self._sizes[result.cluster])

    def remains(self, cluster: int) -> float | None:
        """Return the link's rate as shown by what arrived of a cluster of which much was lost in a queue, None if it
        does not show it.
        """
        measured = self._clusters.get(cluster)
        if measured is None or measured.packets < _LEAST_PACKETS:
            return None
        result = _rate(measured, self._sizes[cluster])
        return result.rate if result is not None and result.fills else None


def _rate(measured: _Measured, size: int) -> ProbeResult | None:
    sending = measured.last_sent - measured.first_sent
    receiving = measured.last_received - measured.first_received
    if not 0 < sending <= _MAX_INTERVAL_OF_CLUSTER or not 0 < receiving <= _MAX_INTERVAL_OF_CLUSTER:
        return None
    sent = (measured.size - measured.last_size) * 8e9 / sending
    received = (measured.size - measured.first_size) * 8e9 / receiving
    if received > _MAX_RATIO * sent:
        return None
    is_whole = measured.size >= size
    if received < _SATURATED * sent:
        fills = measured.is_queueing
        return ProbeResult(_TARGET * received, fills=fills, is_least=is_whole and measured.is_uneven and not fills)
    return ProbeResult(min(sent, received), is_least=is_whole)
