"""Estimation of a subscriber's bandwidth, on the sending side, after libwebrtc's GoogCC.

Composes the machines beside it: feedback summary → overuse detector → rate control, limited by the loss-based rate and
raised by probes. Feedback comes from the subscriber itself, so a publisher's bad uplink has no effect. For peers that
send no feedback about packets, REMB or receiver reports are used.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sfu.machines.congestion.acknowledged_rate import AcknowledgedRate
from sfu.machines.congestion.application_limit import ApplicationLimit
from sfu.machines.congestion.competition import Competition
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary
from sfu.machines.congestion.inherent_loss import InherentLoss
from sfu.machines.congestion.loss_based_rate import LossBasedRate
from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.probes import ProbeCluster, ProbeControl, ProbeResults
from sfu.machines.congestion.rate_control import RateControl
from sfu.machines.congestion.receiver_reported_rate import ReceiverReportedRate
from sfu.machines.congestion.send_history import received_in_order
from sfu.machines.congestion.standing_queue import StandingQueue
from sfu.machines.congestion.startup_rate import StartupRate

_ROUND_TRIP_NS = 100_000_000
_SILENCE_NS = 2_000_000_000
_SILENCE_STEP_NS = 1_000_000_000
_SILENCE_FACTOR = 0.7
_SETTLING_NS = 300_000_000  # after a probe, whose burst, and more media at a higher rate, look like overuse
_PROBED_QUEUE_NS = 25_000_000  # with a longer queue the link is full, and a probe would only add to it
_QUEUE_NS = 12_000_000  # of queue, without which a trend does not count
_LIMITED_QUEUE_NS, _LIMITED_MESSAGES, _UNFILLED_MESSAGES = 30_000_000, 3, 2
_FILLS = 0.8  # of the estimate
_LATE = 1.3  # difference of the average and the newest window after a step
_FALL = 4  # at most at once: a single window may mislead
_FULL_NS = 150_000_000  # with such a queue, the link was busy for all of the newest window of arrivals
_DOUBT_NS = 4_000_000_000
_AS_KNOWN = 0.93  # of the estimate: a probe that measures this or more changes nothing
_AGREEMENT = 1.5
_NO_FEEDBACK_NS = 1_000_000_000
_OUTSTANDING = 10  # packets without feedback, from which on silence is a bad sign


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """Rates in bits/s."""

    start: float = 1_500_000.0
    minimum: float = 30_000.0
    maximum: float = 20_000_000.0


class EstimatorState(NamedTuple):
    """State for statistics and replay. Rates are in bits/s, None while unknown; `loss` is a share, `queueing` means
    overuse.
    """

    rate: float
    delay_based: float
    loss_based: float | None
    acknowledged: float | None
    loss: float
    usage: Usage
    application_limited: bool


class Estimator:
    """The estimator of one subscribing peer. `rate` is the estimate in bits/s, counting all bytes from the RTP header
    on.
    """

    def __init__(self, settings: EstimatorSettings | None = None) -> None:
        self.settings = settings = settings or EstimatorSettings()
        self.rate = settings.start
        self.round_trip = _ROUND_TRIP_NS
        self._usage = Usage.NORMAL
        self._acknowledged = AcknowledgedRate()
        self._standing = StandingQueue()
        self._others = Competition()
        self._control = RateControl(settings.start, settings.minimum, settings.maximum)
        self._losses = LossBasedRate(settings.minimum)
        self._inherent = InherentLoss()
        self._reported = ReceiverReportedRate(settings.start, settings.minimum, settings.maximum)
        self._limit = ApplicationLimit()
        self._was_limited = False
        self._queued = 0  # consecutive messages that showed a queue
        self._probes = ProbeControl()
        self._results = ProbeResults()
        self._startup = StartupRate()
        self._doubted: tuple[int, float, int] | None = None  # cluster, rate and time of a probe that filled the link
        self._feedback_at: int | None = None
        self._disturbed_at: int | None = None
        self._unanswered = 0
        self._unanswered_since = 0

    @property
    def has_feedback(self) -> bool:
        """True if the peer sends feedback about packets."""
        return self._feedback_at is not None

    @property
    def is_starting(self) -> bool:
        """True while too little is known about the link to hold back the first pictures."""
        return not self._startup.is_over

    @property
    def is_free(self) -> bool:
        """True if neither delay nor loss shows that our packets fill the link."""
        return self.is_drained and not self._losses.limits

    @property
    def is_drained(self) -> bool:
        """True if our packets do not cause a queue, so losses are the link's own."""
        return self._others.is_on or (self._usage is not Usage.OVERUSE and self._standing.queueing < _PROBED_QUEUE_NS)

    @property
    def inherent_loss(self) -> float:
        """The loss while none of our packets waited; 0 if that is long ago. Reports of peers without feedback do not
        tell.
        """
        return self._inherent.newest if self.has_feedback else self._reported.loss

    @property
    def is_shared(self) -> bool:
        """True while others keep the link's queue filled."""
        return self._others.is_on

    @property
    def queueing(self) -> int:
        """The queueing delay of packets, in ns."""
        return self._standing.queueing

    @property
    def state(self) -> EstimatorState:
        return EstimatorState(
            self.rate,
            self._control.rate,
            self._losses.rate,
            self._acknowledged.bits_per_second,
            self._losses.loss if self.has_feedback else self._reported.loss,
            self._usage,
            self._limit.is_limited,
        )

    def end_start(self, now: int) -> None:
        """Note that everything wanted is known to fit, so single packets need not be judged any longer."""
        if self.is_free:
            self._startup.is_over = True

    def sent(self, summary: SentSummary) -> None:
        """Take what went out since the last call."""
        if not summary.packets:
            return
        self._limit.sent(summary.size, self.rate, summary.last)
        self._others.sent(summary.size, summary.last)
        if self._unanswered == 0:
            self._unanswered_since = summary.first
        self._unanswered += summary.packets
        self._probes.start(self.settings.start, self.settings.maximum)

    def observed(self, summary: FeedbackSummary, now: int) -> None:
        """Process the summary of feedback, which must be in full detail while `is_starting`."""
        self._feedback_at = now
        self._unanswered = 0
        if summary.round_trip is not None:
            self.round_trip += (summary.round_trip - self.round_trip) // 8
        self._judge(summary, now)

    def _judge(self, summary: FeedbackSummary, now: int) -> None:
        was_limited = self._limit.is_limited
        if self._was_limited and not was_limited:
            self._acknowledged.expect_change()
        self._was_limited = was_limited
        probed = None
        filled = -1
        overused = False
        if summary.smallest_delay is not None:
            overused = self._standing.update(summary.smallest_delay, now, is_shared=self._others.is_on)
            self._queued = self._queued + 1 if self._standing.queueing >= _LIMITED_QUEUE_NS else 0
        for rate in summary.rates:
            self._acknowledged.sampled(rate, application_limited=was_limited)
        overused |= summary.overused
        self._usage = summary.usage
        for result, _ in received_in_order(summary.results):
            measured = self._results.received(result) if result.cluster >= 0 else None
            if measured is not None:
                self._probes.result(result.cluster, measured, now)
                probed = max(measured.rate, probed or 0.0)
                if measured.fills:
                    filled = result.cluster
        if not self._startup.is_over:
            probed = self._start(summary, probed, now)
        if filled >= 0 and probed is not None and probed < self._control.rate * _AS_KNOWN:
            self._doubt(filled, probed, now)
        acknowledged = self._acknowledged.bits_per_second
        overused &= not self._beside_others(summary, acknowledged, now)
        self._follow_delay(overused, probed, acknowledged, now)
        if self._standing.is_busy and not self._others.is_on and self._limit.is_limited and acknowledged is not None:
            self._limit_to(max(acknowledged, self._acknowledged.newest), now)
        self._losses.update(summary.losses, acknowledged, self._control.rate, now)
        self._inherent.update(summary.losses, self._losses.loss, now, is_drained=self.is_drained)
        if probed is not None and not overused:
            self._losses.set(min(probed, self._control.rate))
        self._conclude(now)

    def _beside_others(self, summary: FeedbackSummary, acknowledged: float | None, now: int) -> bool:
        """Return True if others fill the link. When they are first noticed, the rate that was given up to them is
        restored.
        """
        others, control = self._others, self._control
        arriving = min(acknowledged or 0.0, self._acknowledged.newest)
        if summary.smallest_delay is not None and others.update(
            self._standing.queueing, arriving, self.round_trip, now
        ):
            control.set(max(control.rate, others.share), now)
            self._losses.set(control.rate)
            self._disturbed_at = now
        if others.is_on and summary.losses is not None and summary.losses.lost:
            others.lost(now, self.round_trip)
        return others.is_on

    def _doubt(self, cluster: int, rate: float, now: int) -> None:
        """Lower the estimate after a probe that did not even reach it. Two probes must agree, since a busy machine may
        be the cause.
        """
        before = self._doubted
        if before is None or now - before[2] > _DOUBT_NS:
            self._doubted = (cluster, rate, now)
            self._probes.repeat(now)
        elif cluster != before[0]:
            self._doubted = None
            if max(rate, before[1]) <= _AGREEMENT * min(rate, before[1]):
                self._control.set(max(rate, before[1]), now)

    def _start(self, summary: FeedbackSummary, probed: float | None, now: int) -> float | None:
        """Use the first pictures as probes; a start rate that was too high is lowered at once."""
        run = self._startup.update(summary.results, now)
        if run is None:
            return probed
        if run.fills and run.grown >= _PROBED_QUEUE_NS and run.rate < self._control.rate:
            self._control.set(run.rate, now)
            self._acknowledged.expect_change()
            self._probes.decreased(now)
            self._disturbed_at = now
            return None
        return max(run.rate, probed or 0.0)

    def _follow_delay(self, overused: bool, probed: float | None, acknowledged: float | None, now: int) -> None:
        control = self._control
        if overused and self._is_queueing(acknowledged):
            is_settling = self._disturbed_at is not None and now - self._disturbed_at < _SETTLING_NS + self.round_trip
            if not is_settling:
                self._decrease(acknowledged, now)
        elif probed is not None and probed > control.rate:
            control.set(probed, now)
            self._acknowledged.expect_change()
            self._disturbed_at = now
        elif self._others.is_on:
            control.update(Usage.NORMAL, acknowledged, self.round_trip, now)
            control.rate = min(control.rate, self._others.share)
        elif self._usage is not Usage.OVERUSE:
            control.update(self._usage, acknowledged, self.round_trip, now)

    def _limit_to(self, arriving: float, now: int) -> None:
        """Lower the estimate to the arriving rate if little is sent and the link is busy all the same."""
        if self._control.rate > arriving * _LATE:
            self._control.set(arriving, now)

    def _is_queueing(self, acknowledged: float | None) -> bool:
        """Return True if packets wait at all. If less is sent than would fit, several messages must agree, since jitter
        or a burst after a silence is then more likely.
        """
        if self._limit.is_limited:
            return self._queued >= _LIMITED_MESSAGES
        if acknowledged is not None and min(acknowledged, self._acknowledged.newest) < _FILLS * self._control.rate:
            return self._queued >= _UNFILLED_MESSAGES
        return self._standing.queueing >= _QUEUE_NS

    def _decrease(self, acknowledged: float | None, now: int) -> None:
        """Decrease to the rate of arrivals during a queue, which is the link's rate; the average lags behind. What the
        link loses itself took room as well.
        """
        limited = self._limit.is_limited and self._standing.queueing < _FULL_NS
        if not self._control.may_decrease(None if limited else acknowledged, self.round_trip, now):
            return
        if acknowledged is not None:
            newest = self._acknowledged.newest
            fell = newest < acknowledged / _LATE and self._standing.queueing >= _FULL_NS
            if fell or newest > acknowledged * _LATE:
                acknowledged = max(newest, acknowledged / _FALL)
            acknowledged /= 1.0 - self._inherent.lasting
        queueing = self._standing.queueing
        self._control.update(
            Usage.OVERUSE, acknowledged, self.round_trip, now, application_limited=limited, queueing=queueing
        )
        if limited:
            self._disturbed_at = now

    def _conclude(self, now: int) -> None:
        before = self.rate
        rate = self._control.rate
        if self._losses.rate is not None:
            rate = min(rate, self._losses.rate)
        self.rate = min(max(rate, self.settings.minimum), self.settings.maximum)
        if self.rate < before * 0.95:
            self._probes.decreased(now)

    def receiver_estimate(self, rate: float, now: int) -> None:
        """Take a REMB; it is used for peers that send no feedback about packets."""
        self._reported.receiver_estimate(rate, now)
        self._follow_reports(gives_none=True)

    def report(self, fraction_lost: float, now: int) -> None:
        """Take a receiver report's share of losses (0..1); it is used for peers without feedback about packets."""
        self._reported.report(fraction_lost, self.round_trip, now)
        self._follow_reports(gives_none=self._unanswered > 0 and now - self._unanswered_since >= _NO_FEEDBACK_NS)

    def _follow_reports(self, *, gives_none: bool) -> None:
        """Use other reports until feedback about packets arrives; `gives_none`: it never will."""
        if self.has_feedback:
            return
        self.rate = self._reported.rate
        self._startup.is_over |= gives_none

    def next_probe(self, wanted: float, now: int) -> ProbeCluster | None:
        """Return the probe to send now; `wanted` is the rate that would be sent if there were room, in bits/s."""
        if not self.has_feedback:
            return None
        expired = self._probes.expire(now)
        remains = self._results.remains(expired)
        if remains is not None and remains < self._control.rate * _AS_KNOWN:
            self._doubt(expired, remains, now)
            self._conclude(now)
        is_limited = self._limit.is_limited
        cluster = self._probes.next(self.rate, wanted, now, is_free=self.is_free, is_limited=is_limited)
        if cluster is not None:
            self._results.begun(cluster)
            self._disturbed_at = now
        return cluster

    def handle_timer(self, now: int) -> None:
        """Lower the rate of a peer that stopped sending feedback while much is sent: its link may be blocked.

        While little is sent, for example because nothing more fits, the queue of the last feedback is assumed to have
        drained.
        """
        if self._feedback_at is None:
            return
        if self._unanswered < _OUTSTANDING:
            if now - self._feedback_at >= _SILENCE_NS:
                self._usage = Usage.NORMAL
                self._standing.drained()
                self._losses.drained()
            return
        if now - max(self._feedback_at, self._unanswered_since) >= _SILENCE_NS:
            self._feedback_at = now - _SILENCE_NS + _SILENCE_STEP_NS
            self._unanswered_since = self._feedback_at
            self._control.set(self.rate * _SILENCE_FACTOR, now)
            self._conclude(now)
