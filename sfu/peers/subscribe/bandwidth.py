"""A subscriber's link: its estimator fed from its feedback, the pacer's budget, probes and retransmissions."""

from collections.abc import Sequence

from sfu.engine.contract import Engine
from sfu.engine.send_side_observer import SendSideObserver
from sfu.flight.noted_estimator import NotedEstimator
from sfu.flight.recorder import ParticipantFlight
from sfu.formats import rtcp
from sfu.machines.congestion.estimator import Estimator, EstimatorState
from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.pacing import BurstCapacity, RetransmissionBudget, media_share, pacing_rate
from sfu.machines.congestion.probes import ProbeCluster
from sfu.machines.congestion.shared_line import Raises
from sfu.peers.coalescing import coalesce
from sfu.peers.outbox import Outbox

_CHECK_NS = 100_000_000
_UNHEARD_NS = 150_000_000  # a check is due after this long without feedback; calm feedback is folded for less
_FOLDED_NS = 250_000_000
_AMPLE_FOLDED_NS = 4_000_000_000  # with more room than is wanted, a calm link can wait
_SPREAD, _SPREAD_NS = 16, 40_000_000
_AMPLE = 1.1
_IDLE_CHECK_NS = 15_000_000_000  # while nothing is sent or wanted; feedback and pictures end this
_PROBE_STEP_NS = 2_000_000
_PROBE_NS = 16_000_000  # the least, though media alone would fill it sooner
_FIRST_TRIAL_NS = 1_500_000_000
_TRIAL_NS = 2_000_000_000
_OPENING_NS = 3_000_000_000  # a second until its cost is known, and some time for probes with it
_BETWEEN_TRIALS_NS = 10_000_000_000
_FIRST_PICTURES_NS = 1_000_000_000
_SECOND = 1_000_000_000


class Bandwidth:
    """`rate` is the estimate in bits/s, `wanted` what would be sent if there were room.

    At first, and while nothing is sent to a peer without RTX, there is nothing to probe with, and only media can show
    the link's capacity. So while `is_trying`, one picture may be sent beyond the estimate.
    """

    def __init__(
        self,
        peer: int,
        engine: Engine,
        observer: SendSideObserver,
        outbox: Outbox,
        now: int,
        *,
        raises: Raises,
        flight: ParticipantFlight | None = None,
    ) -> None:
        """Create the link; `flight`, if given, keeps the estimator's input."""
        self.wanted = 0.0
        self.probes = 0
        self._trial_until = now + _FIRST_TRIAL_NS
        self._opened_at: int | None = None
        self._peer = peer
        self._engine = engine
        self._observer = observer
        self._outbox = outbox
        self._raises = raises
        self._estimator = Estimator() if flight is None else NotedEstimator(flight, now)
        self._repairs = RetransmissionBudget()
        self._sound_repairs = RetransmissionBudget()
        self._budget = 0
        self._probe: ProbeCluster | None = None
        self._probe_began = 0
        self._probe_sent = 0
        self._next_step = 0
        self._next_check = self._expected_by = now + _CHECK_NS
        self._checked_at = now
        self._is_heard = self._has_pictures = False
        self._first_until: int | None = None
        self._ample_folded = _AMPLE_FOLDED_NS - peer % _SPREAD * _SPREAD_NS  # not that of all who began together
        self._folded = 0  # the time for which calm feedback is folded, 0 before the first
        self._bursts = BurstCapacity()
        observer.report_sent(peer, True)
        self._set_budget()

    @property
    def rate(self) -> float:
        return self._estimator.rate

    @property
    def is_starting(self) -> bool:
        """True while too little is known about the link to hold back the first pictures."""
        return self._estimator.is_starting

    @property
    def queueing(self) -> int:
        """The queueing delay of packets, in ns."""
        return self._estimator.queueing

    @property
    def state(self) -> EstimatorState:
        return self._estimator.state

    def is_trying(self, now: int) -> bool:
        """Return True if one picture may exceed the estimate now: only for a while, and not on a link known to be
        full.
        """
        return now < self._trial_until and self._estimator.is_free

    def show(self) -> None:
        """Note that pictures are about to be sent. While the link is starting, the feedback about each of their packets
        is evaluated; sound alone says too little about a link.
        """
        self._has_pictures = True
        if self._folded and self._estimator.is_starting:
            self._fold(0)

    def shows_first(self, now: int) -> bool:
        """Return True for the first second of pictures on a link about which nothing is known."""
        if self._first_until is None:
            self._first_until = now + _FIRST_PICTURES_NS if self._estimator.is_starting else now
        return now < self._first_until

    def open(self, now: int) -> None:
        """Note that a picture of unknown cost begins; its first seconds show its cost, and whether it fits."""
        if self._opened_at is None or now - self._opened_at >= _BETWEEN_TRIALS_NS:
            self._opened_at = now
            self._next_check = min(self._next_check, now + _CHECK_NS)
            self._trial_until = max(self._trial_until, now + _OPENING_NS)

    def want(self, rate: float, now: int) -> bool:
        """Take the rate that would be sent if there were room; return whether the link should be checked soon."""
        had_ample, self.wanted = self._has_ample(), rate
        if had_ample and not self._has_ample():
            self._next_check = min(self._next_check, now)
            return True
        return False

    def end_start(self, now: int) -> None:
        """End the close look at single packets: everything wanted is sent, at known costs, and more would fit, or there
        is no time for it.
        """
        if self._estimator.has_feedback and self._estimator.is_starting:
            self._estimator.end_start(now)
            self._set_budget()

    def reported(self, blocks: Sequence[rtcp.ReportBlock], arrival: int) -> None:
        """Take a report's blocks, at least one; they are used for subscribers that send no feedback about packets."""
        if not self._estimator.has_feedback:
            self._estimator.report(sum(block.fraction_lost for block in blocks) / len(blocks) / 256, arrival)
            self._set_budget()

    def control(self, packet: rtcp.Packet, arrival: int) -> None:
        """Take other RTCP from the subscriber; `arrival` is when the kernel received it."""
        if isinstance(packet, rtcp.ReceiverEstimate):
            self._estimator.receiver_estimate(packet.bitrate, arrival)
        elif isinstance(packet, rtcp.TransportFeedback | rtcp.CongestionFeedback):
            whole = self._estimator.is_starting and self._has_pictures
            if not whole and not self._folded:
                self._fold(_FOLDED_NS)
            self._collect()
            self.observed(self._observer.observe(self._peer, packet, arrival, whole=whole), arrival)
            return
        else:
            return
        self._set_budget()

    def observed(self, summary: FeedbackSummary | None, arrival: int) -> None:
        """Take the summary of feedback up to `arrival`; None if there is nothing new."""
        self._collect()
        if summary is not None:
            before = self._estimator.rate
            self._estimator.observed(summary, arrival)
            self._raises.update(before, self._estimator.rate, arrival)
            self._bursts.observed(summary, arrival)
        if arrival >= self._checked_at + _CHECK_NS * 3 // 4:
            self._next_check = min(self._next_check, arrival)  # along with this, without a separate wake-up
        self._is_heard = True
        self._set_budget()

    @property
    def is_free(self) -> bool:
        """True if neither delay nor loss shows that the link is full."""
        return self._estimator.is_free

    @property
    def is_drained(self) -> bool:
        """True if our packets do not cause a queue, so losses are the link's own."""
        return self._estimator.is_drained

    @property
    def link_loss(self) -> float | None:
        """The share of packets that the subscriber's link has lost lately, None if it sends no feedback about
        packets.
        """
        return self._estimator.state.loss if self._estimator.has_feedback else None

    @property
    def media_share(self) -> float:
        """The part of the estimate for media; the rest is for repairs and RTCP. Losses of a full link need no room for
        repairs, since less will be lost once less is sent.
        """
        return media_share(self._estimator.inherent_loss)

    def room(self, least: float) -> float:
        """Return the part of the estimate for media (bits/s). `least` is the cost of sound and of the cheapest picture,
        which come before repairs.
        """
        return max(self.rate * self.media_share, min(least, self.rate * media_share(0.0)))

    @property
    def round_trip(self) -> int:
        """The round trip (ns) shown by the newest feedback."""
        return self._estimator.round_trip

    def admit_retransmissions(
        self, packets: int, size: int, now: int, *, is_audio: bool = False, leave: float = 0.0
    ) -> int:
        """Return how many of `packets` requested packets of about `size` bytes, or copies that `leave` a part of the
        budget, may be sent. Audio has a separate budget, since it is small and comes first.
        """
        budget = self._sound_repairs if is_audio else self._repairs
        return budget.admit(packets, size, self.rate, now, loss=self._estimator.inherent_loss, leave=leave)

    def timer(self) -> int:
        """Return when `handle_timer` has work next."""
        return self._next_step if self._probe is not None else self._next_check

    def handle_timer(self, now: int, pace: int = 1) -> None:
        """Check the link; begin or continue a probe. While the node is overloaded (`pace` above 1), checks are rarer,
        no probe begins, and the start is over: both need feedback in full detail.
        """
        if now >= self._next_check:
            is_active = self._collect() > 0 or self._is_heard
            if self._folded:
                self._fold(self._ample_folded if self._has_ample() and self._is_heard else _FOLDED_NS * pace)
            if self._is_heard or now >= self._expected_by:  # else feedback may have arrived and still be folded
                self._estimator.handle_timer(now)
            is_idle = not is_active and not self._is_short()
            wait = _IDLE_CHECK_NS if is_idle else max(self._folded, _FOLDED_NS * pace) + _UNHEARD_NS
            self._next_check = coalesce(now + wait)
            self._expected_by = self._next_check
            self._checked_at, self._is_heard = now, False
            self._set_budget()
        if pace > 1:
            self.end_start(now)
        elif self._probe is None:
            self._begin_probe(now)
        if self._probe is not None and now >= self._next_step:
            self._send_probe(self._probe, now)

    def _has_ample(self) -> bool:
        return self.wanted > 0 and self._estimator.rate >= self.wanted * _AMPLE

    def _is_short(self) -> bool:
        """Return True if more is wanted than the estimate grants, so that probes may be due though nothing flows."""
        return self._estimator.has_feedback and self._estimator.rate < self.wanted

    def _fold(self, longest: int) -> None:
        if longest != self._folded:
            self._folded = longest
            self._observer.fold(self._peer, longest)

    def _begin_probe(self, now: int) -> None:
        probe = self._estimator.next_probe(0.0 if self._raises.waits(now) else self.wanted, now)
        if probe is not None:
            self.probes += 1
            self._collect()
            self._probe = probe
            self._probe_began, self._probe_sent, self._next_step = now, 0, now
            self._set_budget()

    def _send_probe(self, probe: ProbeCluster, now: int) -> None:
        """Send as much of the cluster as its rate allows until the next step: waiting media, then padding."""
        elapsed = now - self._probe_began + _PROBE_STEP_NS
        due = min(probe.rate * elapsed // (8 * _SECOND), probe.size)
        self._next_step = now + _PROBE_STEP_NS
        self._collect()
        if due > self._probe_sent:
            padding = self._observer.pad(self._peer, due - self._probe_sent, now)
            self._outbox.send(padding)
            self._collect()
            if not padding:
                self._probe = None
                if now - self._trial_until >= _BETWEEN_TRIALS_NS:
                    self._trial_until = now + _TRIAL_NS
        if self._probe_sent >= probe.size and elapsed >= _PROBE_NS:
            self._probe = None
        if self._probe is None:
            self._set_budget()

    def _collect(self) -> int:
        """Add what was sent since the last call to the probe under way; return its bytes."""
        cluster = self._probe.cluster if self._probe is not None else -1
        summary = self._observer.claim(self._peer, cluster)
        self._estimator.sent(summary)
        self._probe_sent += summary.size
        return summary.size

    def _set_budget(self) -> None:
        """Keep the pacer somewhat faster than the estimate, and than a probe; small changes are not worth a call."""
        burst = self._bursts.rate(self._checked_at)
        budget = pacing_rate(self._estimator.rate, burst, is_starting=self._estimator.is_starting)
        if self._probe is not None:
            budget = max(budget, self._probe.rate)
        if abs(budget - self._budget) * 50 > self._budget:
            self._budget = budget
            self._engine.set_budget(self._peer, budget)
