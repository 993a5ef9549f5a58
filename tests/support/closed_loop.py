"""A call in simulated time: a source, a pacer and an estimator in front of an emulated link, with feedback.

The source makes 30 frames per second at the estimated rate, but at most at `wanted` and at `step`, as if the next layer
were too large. The first frame has `first_frame` bytes. With the estimator off, the rate is `wanted`. In the first
`stall` ns of each second, nothing is sent, as on a busy server.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.estimator import Estimator
from sfu.machines.congestion.feedback_analyser import FeedbackAnalyser
from sfu.machines.congestion.pacing import pacing_rate
from sfu.machines.congestion.probes import ProbeCluster
from sfu.machines.congestion.send_history import SentKind, SentPacket
from sfu.machines.repair.twcc_receiver import TwccReceiver
from tests.support.link_model import Link, LinkSettings

MS = 1_000_000
SECOND = 1000 * MS
_FRAME_NS = SECOND // 30
_PACKET = 1200
_BURST = 6000.0  # bytes that a pacer may send at once
_SOURCE_SHARE = 0.95
_PROBE_NS = 16 * MS


@dataclass(slots=True)
class Sample:
    """State of the call, recorded every 100 ms."""

    at: int
    estimate: float
    capacity: int
    queueing: int


@dataclass
class ClosedLoop:
    """The call. After `run`, `samples`, `delays` (ns per packet) and `whole_frames` (bytes) contain the results."""

    settings: LinkSettings
    seed: int = 0
    wanted: float = 5_000_000.0
    first_frame: int = 0
    step: float = float("inf")
    stall: int = 0
    adapts: bool = True
    feedback_delay: int = 25 * MS
    now: int = 0
    samples: list[Sample] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    whole_frames: int = 0
    estimator: Estimator = field(default_factory=Estimator)
    observer: FeedbackAnalyser = field(default_factory=FeedbackAnalyser)

    def __post_init__(self) -> None:
        self._link: Link[tuple[int, Any, int, int]] = Link(self.settings, self.seed)
        self._receiver = TwccReceiver(1)
        self._feedback: deque[tuple[int, TransportFeedback]] = deque()
        self._queue: deque[tuple[int, int]] = deque()
        self._missing: dict[int, tuple[int, int]] = {}
        self._frame = self._seq = 0
        self._next_frame = 0
        self._allowance = 0.0
        self._probe: tuple[ProbeCluster, int] | None = None
        self._probed = 0

    def change(self, **changes: object) -> None:
        self._link.change(self.now, **changes)

    @property
    def link(self) -> Link[tuple[int, Any, int, int]]:
        return self._link

    def run(self, seconds: float) -> None:
        """Advance time in steps of a millisecond."""
        end = self.now + int(seconds * SECOND)
        while self.now < end:
            self.now += MS
            self._make_frame()
            if self.now % SECOND >= self.stall:
                self._pace()
                if self.adapts:
                    self._send_probe()
            self._arrive()
            if self.now % (100 * MS) == 0:
                queueing = self._link.queueing_delay
                self.samples.append(Sample(self.now, self.estimator.rate, self._link.settings.rate or 0, queueing))

    def _make_frame(self) -> None:
        if self.now < self._next_frame:
            return
        self._next_frame += _FRAME_NS
        rate = min(self.estimator.rate * _SOURCE_SHARE, self.wanted, self.step) if self.adapts else self.wanted
        size = int(rate * _FRAME_NS / (8 * SECOND)) if self._frame else self.first_frame
        self._queue_frame(size or int(rate * _FRAME_NS / (8 * SECOND)))

    def _queue_frame(self, size: int) -> None:
        packets = -(-size // _PACKET)
        self._frame += 1
        self._missing[self._frame] = (packets, size)
        for index in range(packets):
            self._queue.append((self._frame, min(_PACKET, size - index * _PACKET)))

    def _pace(self) -> None:
        if not self.adapts:
            while self._queue:
                self._send(*self._queue.popleft())
            return
        budget = pacing_rate(self.estimator.rate, is_starting=self.estimator.is_starting) / 8000
        self._allowance = min(self._allowance + budget, _BURST)
        while self._queue and self._allowance > 0:
            frame, size = self._queue.popleft()
            self._allowance -= size
            self._send(frame, size)

    def _send_probe(self) -> None:
        if self._probe is None:
            cluster = self.estimator.next_probe(self.wanted, self.now)
            self._probe = (cluster, self.now) if cluster is not None else None
            self._probed = 0
        if self._probe is None:
            return
        cluster, began = self._probe
        elapsed = self.now - began
        while self._probed < min(cluster.size, cluster.rate * elapsed / (8 * SECOND)):
            self._send(0, _PACKET)
        if self._probed >= cluster.size and elapsed >= _PROBE_NS:
            self._probe = None

    def _send(self, frame: int, size: int) -> None:
        """Send a packet of media or padding; during a probe, it is part of that."""
        cluster = -1
        if self._probe is not None:
            cluster = self._probe[0].cluster
            self._probed += size
        kind = SentKind.AUDIO if frame < 0 else SentKind.VIDEO if frame else SentKind.PADDING
        seq = self._seq & 0xFFFF
        self.observer.sent(SentPacket(seq, 1, seq, size, self.now, kind))
        self.estimator.sent(self.observer.claim(cluster))
        self._link.push((self._seq, frame, size, self.now), size, self.now)
        self._seq += 1

    def _arrive(self) -> None:
        for at, packet in self._link.pop(self.now):
            self._take(at, packet)
        for message in self._receiver.due(self.now):
            self._feedback.append((self.now + self.feedback_delay, message))
        while self._feedback and self._feedback[0][0] <= self.now:
            message = self._feedback.popleft()[1]
            summary = self.observer.observe(message, self.now, whole=self.estimator.is_starting)
            if summary is not None:
                self.estimator.observed(summary, self.now)
        self.estimator.handle_timer(self.now)

    def _take(self, at: int, packet: tuple[int, Any, int, int]) -> None:
        seq, frame, _, sent = packet
        self._receiver.received(seq & 0xFFFF, at, 1)
        if frame > 0:
            self.delays.append(at - sent)
            missing, whole = self._missing[frame]
            self._missing[frame] = (missing - 1, whole)
            if missing == 1:
                self.whole_frames += whole
                del self._missing[frame]

    def percentile(self, share: float) -> int:
        """Return a percentile of the packets' one-way delays, in ns."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
