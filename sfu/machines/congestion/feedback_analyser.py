"""Analysis of feedback about packets: reduces it to the figures on which the estimator decides.

It is fed with each sent packet and each feedback message. This code runs in the Python engine, and is the specification
of the compiled one. Messages of a calm link (without losses, overuse or a queue) all say the same, so several may be
folded into one summary, for as long as the caller allows.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.rtcp import ReportBlock
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.arrival_windows import ArrivalWindows
from sfu.machines.congestion.loss_windows import LossWindow, LossWindows
from sfu.machines.congestion.overuse import OveruseDetector, Usage
from sfu.machines.congestion.packet_groups import PacketGroups
from sfu.machines.congestion.send_history import (
    FeedbackReport,
    PacketResult,
    SendHistory,
    SentPacket,
    received_in_order,
)

_CALM_NS = 5_000_000
_PROBED_NS = 2_000_000_000
MAX_RATES = 8
_PERIOD_NS = 30_000_000_000


class SentSummary(NamedTuple):
    """The number of sent packets, their bytes, and the times of the first and the last; zeros for none."""

    packets: int
    size: int
    first: int
    last: int


class FeedbackSummary(NamedTuple):
    """The summary of one or several feedback messages.

    `round_trip` is that of the newest packet that arrived, `smallest_delay` the time from sending to arrival, including
    the clocks' difference; both are None if nothing arrived. `rates` are those of the newest windows of arrivals, in
    kbit/s. `usage` is the verdict on the trend of delays; `overused` is true if it was overuse at any time. `burst` is
    the bytes of the largest group of packets sent together, `queueing` the excess of the longest delay over the
    smallest of the last minute, in ns. `losses` is a completed window. `results` are those of arrived packets of
    probes, in order of arrival; if full detail was requested, they are all of the message's, in order of sending.
    """

    round_trip: int | None
    smallest_delay: int | None
    rates: tuple[float, ...]
    overused: bool
    usage: Usage
    burst: int
    queueing: int
    losses: LossWindow | None
    results: tuple[PacketResult, ...]


class _SmallestDelay:
    """The smallest delay of this period and the previous one."""

    def __init__(self) -> None:
        self._period = 0
        self._newest: int | None = None
        self._before: int | None = None

    def update(self, delay: int, now: int) -> int:
        period = now // _PERIOD_NS
        if self._newest is None:
            self._period, self._newest = period, delay
        elif period != self._period:
            self._before = self._newest
            self._period, self._newest = period, delay
        self._newest = min(delay, self._newest)
        return self._newest if self._before is None else min(self._newest, self._before)


class FeedbackAnalyser:
    """The analyser for one peer."""

    def __init__(self) -> None:
        self._history = SendHistory()
        self._groups = PacketGroups()
        self._detector = OveruseDetector()
        self._arrivals = ArrivalWindows()
        self._losses = LossWindows()
        self._smallest = _SmallestDelay()
        self._unclaimed = SentSummary(0, 0, 0, 0)
        self._folded: FeedbackSummary | None = None
        self._told_at = 0
        self._standing = 0  # the excess of the newest message's smallest delay over the smallest
        self._probed_at: int | None = None
        self._was_clear = False
        self._reported_at = 0

    def sent(self, packet: SentPacket) -> None:
        """Take a sent packet; in order."""
        self._history.sent(packet)
        packets, size, first, _ = self._unclaimed
        self._unclaimed = SentSummary(packets + 1, size + packet.size, first if packets else packet.at, packet.at)

    def claim(self, cluster: int = -1) -> SentSummary:
        """Return what was sent since the last call, and assign it to the probe `cluster` unless that is -1."""
        self._history.mark(cluster)
        summary, self._unclaimed = self._unclaimed, SentSummary(0, 0, 0, 0)
        if cluster >= 0 and summary.packets:
            self._probed_at = summary.last
        return summary

    def observe(
        self, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        """Take a message that arrived at `now`; return a summary of it and the folded ones, None without news."""
        if isinstance(message, TransportFeedback):
            report = self._history.feedback(message, now)
        else:
            report = self._history.congestion_feedback(message, now)
        if not report.results:
            return None
        self._folded = _merge(self._folded, self._reduce(report, now, whole))
        return self.tell(now)

    def may_fold(self, now: int) -> bool:
        """Return True unless results of a probe are awaited, which must be judged packet by packet."""
        return self._probed_at is None or now - self._probed_at >= _PROBED_NS

    def fold(self, message: TransportFeedback, now: int, longest: int) -> bool:
        """Take a message, without results of probes, that arrived at `now`; return whether the folded summary is due.

        A calm summary is due after `longest` ns.
        """
        report = self._history.feedback(message, now)
        if not report.results:
            return False
        self._folded = _merge(self._folded, self._reduce(report, now, False)._replace(results=()))
        is_calm = (
            (self._folded.losses is None or not self._folded.losses.lost)
            and not self._folded.overused
            and self._folded.usage is not Usage.OVERUSE
            and self._standing <= _CALM_NS
            and all(result.arrival is not None and not result.was_lost for result in report.results)
        )
        return not is_calm or now - self._told_at >= longest

    def fold_report(self, blocks: Sequence[ReportBlock], now: int, longest: int) -> bool:
        """Take a receiver report's blocks that arrived at `now`; return True if they say nothing new.

        Reports without losses count as new only every `longest` ns.
        """
        is_clear = not any(block.fraction_lost for block in blocks)
        if is_clear and self._was_clear and now - self._reported_at < longest:
            return True
        self._was_clear, self._reported_at = is_clear, now
        return False

    def tell(self, now: int) -> FeedbackSummary:
        """Return the folded summary, after `fold` said that it is due."""
        folded, self._folded = self._folded, None
        if folded is None:
            raise ValueError("there is no feedback to sum up")
        self._told_at = now
        return folded

    def _reduce(self, report: FeedbackReport, now: int, whole: bool) -> FeedbackSummary:
        arrived = received_in_order(report.results)
        rates: list[float] = []
        overused = False
        burst = 0
        for result, arrival in arrived:
            rate = self._arrivals.received(arrival, result.size)
            if rate is not None:
                rates.append(rate)
            delta = self._groups.received(result.sent, arrival, result.size, now)
            if delta is not None:
                overused |= self._detector.update(delta, arrival) is Usage.OVERUSE
            burst = max(burst, self._groups.size)
        delays = [arrival - result.sent for result, arrival in arrived]
        smallest = self._smallest.update(min(delays), now) if delays else 0
        self._standing = min(delays) - smallest if delays else 0
        return FeedbackSummary(
            report.round_trip,
            min(delays, default=None),
            tuple(rates[-MAX_RATES:]),
            overused,
            self._detector.usage,
            burst,
            max(delays) - smallest if delays else 0,
            self._losses.add(report.results),
            report.results if whole else tuple(result for result, _ in arrived if result.cluster >= 0),
        )


def _merge(before: FeedbackSummary | None, now: FeedbackSummary) -> FeedbackSummary:
    """Return both summaries as one; the results are those of the later one."""
    if before is None:
        return now
    losses = now.losses or before.losses
    if before.losses is not None and now.losses is not None:
        packets, lost, _ = before.losses
        losses = LossWindow(packets + now.losses.packets, lost + now.losses.lost, now.losses.rate)
    delays = [delay for delay in (before.smallest_delay, now.smallest_delay) if delay is not None]
    return FeedbackSummary(
        before.round_trip if now.round_trip is None else now.round_trip,
        min(delays, default=None),
        (before.rates + now.rates)[-MAX_RATES:],
        before.overused or now.overused,
        now.usage,
        max(before.burst, now.burst),
        max(before.queueing, now.queueing),
        losses,
        now.results,
    )
