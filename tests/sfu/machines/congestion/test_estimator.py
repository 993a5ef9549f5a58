"""The estimator with peers that give other feedback, or none."""

from sfu.formats.congestion_feedback import CongestionFeedback, PacketArrival, StreamArrivals
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.estimator import Estimator, EstimatorSettings
from sfu.machines.congestion.feedback_analyser import FeedbackAnalyser, FeedbackSummary, SentSummary
from sfu.machines.congestion.loss_windows import LossWindow
from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.send_history import SentKind, SentPacket

MS = 1_000_000
SECOND = 1000 * MS


class Observed(Estimator):
    """Observes by itself, as an engine does."""

    def __init__(self) -> None:
        super().__init__()
        self.observer = FeedbackAnalyser()

    def went_out(self, packet: SentPacket) -> None:
        self.observer.sent(packet)
        self.sent(self.observer.claim())

    def feedback(self, message: TransportFeedback | CongestionFeedback, now: int) -> None:
        summary = self.observer.observe(message, now, whole=self.is_starting)
        if summary is not None:
            self.observed(summary, now)


def packet(seq: int, at: int, transport_seq: int | None = None) -> SentPacket:
    return SentPacket(seq if transport_seq is None else transport_seq, 7, seq, 1200, at, SentKind.VIDEO)


def test_it_starts_at_the_start_rate() -> None:
    assert Estimator(EstimatorSettings(start=700_000)).rate == 700_000


def test_a_receivers_estimate_counts_for_a_peer_without_feedback() -> None:
    estimator = Estimator()
    estimator.receiver_estimate(2_000_000, 0)
    assert estimator.rate == 2_000_000


def test_losses_count_for_a_peer_without_feedback() -> None:
    estimator = Estimator()
    for second in range(5):
        estimator.report(0.3, second * SECOND)
    assert estimator.rate < 0.5 * estimator.settings.start
    assert estimator.state.loss == 0.3


def test_a_report_that_comes_before_the_first_feedback_does_not_end_the_start() -> None:
    estimator = Observed()
    estimator.went_out(packet(1, 0))
    estimator.report(0.0, 30 * MS)
    assert estimator.is_starting
    for seq in range(2, 34):
        estimator.went_out(packet(seq, seq * 2 * MS))
    estimator.feedback(TransportFeedback(1, 7, 1, 0, 0, tuple([0] + [8] * 32)), 120 * MS)
    assert estimator.rate > 4_000_000


def test_a_peer_without_feedback_is_known_by_its_reports() -> None:
    estimator = Observed()
    for seq in range(12):
        estimator.went_out(packet(seq, seq * 100 * MS))
    estimator.report(0.0, 1200 * MS)
    assert not estimator.is_starting


def test_feedback_about_packets_overrules_both() -> None:
    estimator = Observed()
    estimator.went_out(packet(1, 0))
    estimator.feedback(TransportFeedback(1, 7, 1, 0, 0, (0,)), 40 * MS)
    before = estimator.rate
    estimator.receiver_estimate(100_000, 50 * MS)
    estimator.report(0.5, 60 * MS)
    assert estimator.rate == before


def test_feedback_about_nothing_known_is_no_feedback() -> None:
    estimator = Observed()
    estimator.feedback(TransportFeedback(1, 7, 1, 0, 0, (0,)), 40 * MS)
    assert not estimator.has_feedback


def test_a_peer_without_feedback_is_not_probed() -> None:
    estimator = Observed()
    estimator.went_out(packet(1, 0))
    assert estimator.next_probe(5_000_000, MS) is None


def test_congestion_feedback_of_a_growing_queue_lowers_the_rate() -> None:
    """RFC 8888: 2 Mbps are sent, packets arrive at half of it."""
    estimator = Observed()
    seq = 0
    for tick in range(100):
        sent = tick * 50 * MS
        arrivals = []
        for _ in range(10):
            estimator.went_out(packet(seq, sent, -1))
            arrivals.append(seq * 10 * MS)
            seq += 1
            sent += 5 * MS
        made = arrivals[-1]
        metrics = tuple(PacketArrival(0, (made - arrival) * 1024 // SECOND) for arrival in arrivals)
        stream = StreamArrivals(7, seq - 10, metrics)
        estimator.feedback(CongestionFeedback(1, made * 65536 // SECOND, (stream,)), sent + 20 * MS)
    assert estimator.has_feedback
    assert estimator.rate < estimator.settings.start


def test_the_round_trip_is_smoothed() -> None:
    estimator = Observed()
    for seq in range(100):
        estimator.went_out(packet(seq, seq * 20 * MS))
        estimator.feedback(TransportFeedback(1, 7, seq, seq // 4, 0, (0,)), seq * 20 * MS + 30 * MS)
    assert 29 * MS < estimator.round_trip < 35 * MS


def told(estimator: Estimator, now: int, rate: float, delay: int, *, lost: float = 0.0, overused: bool = False) -> None:
    """Send for 100 ms at `rate` bits/s, and say that it took `delay` ms at least and came at that rate, less what was
    `lost`.
    """
    estimator.sent(SentSummary(20, int(rate / 80), now - 100 * MS, now))
    usage = Usage.OVERUSE if overused else Usage.NORMAL
    rates, losses = (rate * (1 - lost) / 1000,), LossWindow(20, int(20 * lost), rate)
    estimator.observed(FeedbackSummary(50 * MS, delay * MS, rates, overused, usage, 0, 0, losses, ()), now)


def after(share: float, delays: list[int], lost: float = 0.0) -> float:
    """Return what is left of an estimate after overuse with these delays, where that share of it was sent."""
    estimator = Estimator()
    for tenth in range(60):
        told(estimator, tenth * 100 * MS, estimator.rate * share, 25, lost=lost)
    before = estimator.rate
    for place, delay in enumerate(delays):
        told(estimator, (60 + place) * 100 * MS, before * share, delay, lost=lost, overused=True)
    return estimator.rate / before


def test_where_most_of_it_is_sent_a_short_queue_that_grows_lowers_the_estimate() -> None:
    assert after(0.95, [45]) < 0.85


def test_where_less_is_sent_one_burst_that_waits_does_not() -> None:
    assert after(0.7, [45]) > 0.99
    assert after(0.7, [65]) > 0.99
    assert after(0.7, [65, 75]) < 0.7


def test_what_the_link_loses_itself_does_not_lower_it_further() -> None:
    assert abs(after(0.95, [65, 75], lost=0.2) / after(0.95, [65, 75]) - 1) < 0.02


def test_a_link_without_feedback_has_the_loss_of_its_reports() -> None:
    estimator = Estimator()
    estimator.report(0.1, 0)
    assert estimator.inherent_loss == 0.1
    told(estimator, SECOND, 1e6, 25)
    assert estimator.inherent_loss == 0.0
