"""A seeded one-way link as a pure function of time: loss, bursts of loss, a rate with a drop-tail queue, delay, jitter.

It works in simulated time and, through `tun_forwarder`, in real time. Loss is Gilbert's two-state chain: without
`burst`, packets are lost independently; with it, runs of losses have that mean. Times are in ns, rates in bits/s.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Packet = TypeVar("Packet")

SECOND = 1_000_000_000
QUEUE_NS = 300_000_000
_MIN_QUEUE_BYTES = 3000


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """A `rate` of None is unlimited, without a queue. A `queue_bytes` of None holds 300 ms at that rate.

    `jitter` is added to `delay` uniformly and never reorders. `burst` is the mean run of losses, in packets. The share
    `overtaken` of packets takes `detour` longer, while later ones pass them.
    """

    rate: int | None = None
    delay: int = 0
    jitter: int = 0
    loss: float = 0.0
    burst: float | None = None
    queue_bytes: int | None = None
    overtaken: float = 0.0
    detour: int = 20_000_000

    @property
    def queue_limit(self) -> int:
        if self.queue_bytes is not None:
            return self.queue_bytes
        return max(_MIN_QUEUE_BYTES, (self.rate or 0) * QUEUE_NS // (8 * SECOND))


class Link(Generic[Packet]):
    """The link: `push` sends packets, `pop` returns those that have arrived by `now`. Times must not decrease."""

    def __init__(self, settings: LinkSettings, seed: int) -> None:
        self.settings = settings
        self.lost = 0
        self.overflowed = 0
        self.queued_bytes = 0
        self._dice = random.Random(f"link {seed}")
        self._losing = False
        self._queue: deque[tuple[int, int, Packet]] = deque()
        self._remaining = 0.0  # bits of the head still to be served
        self._served_until = 0
        self._flying: list[tuple[int, int, Packet]] = []
        self._order = 0
        self._last_arrival = 0

    def change(self, now: int, **changes: object) -> None:
        """Change the settings from `now` on; the queue is served at the new rate."""
        self._serve(now)
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # fields by name

    def push(self, packet: Packet, size: int, now: int) -> bool:
        """Send a packet of `size` bytes; return False if it is lost."""
        self._serve(now)
        if self._loses():
            self.lost += 1
            return False
        if self.settings.rate is None:
            self._deliver(packet, now)
            return True
        if self.queued_bytes + size > self.settings.queue_limit:
            self.overflowed += 1
            return False
        if not self._queue:
            self._served_until = max(now, self._served_until)
            self._remaining = size * 8
        self._queue.append((now, size, packet))
        self.queued_bytes += size
        return True

    def pop(self, now: int) -> list[tuple[int, Packet]]:
        """Return (arrival time, packet) of the packets that have arrived by `now`, in order."""
        self._serve(now)
        arrived = []
        while self._flying and self._flying[0][0] <= now:
            at, _, packet = heapq.heappop(self._flying)
            arrived.append((at, packet))
        return arrived

    def next_event(self) -> int | None:
        """Return the next time at which a packet arrives or leaves the queue; None if there are no packets."""
        times = [self._flying[0][0]] if self._flying else []
        if self._queue and self.settings.rate:
            times.append(self._head_done())
        return min(times, default=None)

    @property
    def queueing_delay(self) -> int:
        """Return the time that a packet would wait now, in ns."""
        return self.queued_bytes * 8 * SECOND // self.settings.rate if self.settings.rate else 0

    def _head_done(self) -> int:
        assert self.settings.rate
        return self._served_until + int(self._remaining * SECOND / self.settings.rate) + 1

    def _serve(self, now: int) -> None:
        while self._queue:
            if self.settings.rate is None:
                done = now
            else:
                done = self._head_done()
                if done > now:
                    if now > self._served_until:
                        self._remaining -= (now - self._served_until) * self.settings.rate / SECOND
                        self._served_until = now
                    return
            _, size, packet = self._queue.popleft()
            self.queued_bytes -= size
            self._served_until = done
            self._remaining = self._queue[0][1] * 8 if self._queue else 0
            self._deliver(packet, done)

    def _deliver(self, packet: Packet, departed: int) -> None:
        arrival = departed + self.settings.delay
        if self.settings.overtaken and self._dice.random() < self.settings.overtaken:
            arrival += self.settings.detour
        else:
            if self.settings.jitter:
                arrival += self._dice.randrange(self.settings.jitter)
            self._last_arrival = arrival = max(arrival, self._last_arrival)
        self._order += 1
        heapq.heappush(self._flying, (arrival, self._order, packet))

    def _loses(self) -> bool:
        loss, burst = self.settings.loss, self.settings.burst
        if loss <= 0:
            return False
        if burst is None:
            return self._dice.random() < loss
        stay = 1 - 1 / burst
        enter = loss / (burst * (1 - loss))
        self._losing = self._dice.random() < (stay if self._losing else enter)
        return self._losing
