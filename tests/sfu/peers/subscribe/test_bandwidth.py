"""Effects of a subscriber's feedback on its pacer and its repairs."""

import pytest

from sfu.engine.contract import Outgoing, PeerEntry
from sfu.engine.python import PythonEngine
from sfu.formats import rtcp
from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackAnalyser, FeedbackSummary, SentSummary
from sfu.machines.congestion.send_history import SentKind, SentPacket
from sfu.machines.congestion.shared_line import Raises, SharedLines
from sfu.peers.outbox import Outbox
from sfu.peers.subscribe.bandwidth import Bandwidth

MS = 1_000_000
SECOND = 1000 * MS


class Budgets(PythonEngine):
    """Records the values that were set."""

    def __init__(self) -> None:
        super().__init__()
        self.budgets: list[int | None] = []

    def set_budget(self, peer: int, bits_per_second: int | None) -> None:
        self.budgets.append(bits_per_second)
        super().set_budget(peer, bits_per_second)


@pytest.fixture
def engine() -> Budgets:
    engine = Budgets()
    engine.set_peer(PeerEntry(7))
    return engine


@pytest.fixture
def bandwidth(engine: Budgets) -> Bandwidth:
    return Bandwidth(7, engine, engine, Outbox(), 0, raises=Raises(SharedLines(), 7))


def test_the_pacer_has_a_budget_from_the_start_and_lets_first_pictures_go_faster(
    engine: Budgets, bandwidth: Bandwidth
) -> None:
    assert engine.budgets == [int(bandwidth.rate * 2.5)]


def test_the_budget_follows_the_estimate(engine: Budgets, bandwidth: Bandwidth) -> None:
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_000_000, ()), 0)
    assert bandwidth.rate == pytest.approx(2_000_000, rel=0.01)
    assert engine.budgets[-1] == int(bandwidth.rate * 1.15)


def test_small_changes_are_not_worth_a_call(engine: Budgets, bandwidth: Bandwidth) -> None:
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_000_000, ()), 0)
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_010_000, ()), 0)
    assert len(engine.budgets) == 2


def test_losses_in_reports_lower_it(engine: Budgets, bandwidth: Bandwidth) -> None:
    before = bandwidth.rate
    bandwidth.reported([rtcp.ReportBlock(2, 100, 0, 0, 0)], SECOND)
    assert bandwidth.rate < before
    assert len(engine.budgets) == 2


def test_repairs_are_bounded_by_the_estimate(bandwidth: Bandwidth) -> None:
    admitted = sum(bandwidth.admit_retransmissions(200, 1200, now * MS) for now in range(0, 2000, 20))
    assert 20 < admitted < 120


def test_repairs_of_sound_pass_though_those_of_pictures_are_used_up(bandwidth: Bandwidth) -> None:
    bandwidth.admit_retransmissions(200, 1200, 0)
    assert bandwidth.admit_retransmissions(1, 1200, 0) == 0
    assert bandwidth.admit_retransmissions(20, 120, 0, is_audio=True) == 20


def test_nothing_is_probed_before_there_is_feedback(bandwidth: Bandwidth) -> None:
    bandwidth.wanted = 5_000_000.0
    for now in range(0, 3000, 5):
        bandwidth.handle_timer(now * MS)
    assert bandwidth.probes == 0


def test_wanting_more_than_there_is_asks_for_a_look_at_once(bandwidth: Bandwidth) -> None:
    assert not bandwidth.want(600_000, 0)
    bandwidth.handle_timer(SECOND)
    assert bandwidth.timer() > SECOND
    assert bandwidth.want(3_000_000, SECOND)
    assert bandwidth.timer() == SECOND
    assert not bandwidth.want(3_100_000, SECOND)


def test_a_picture_may_be_tried_for_some_seconds_but_not_again_soon(bandwidth: Bandwidth) -> None:
    bandwidth.open(5 * SECOND)
    assert bandwidth.is_trying(7 * SECOND)
    assert not bandwidth.is_trying(8 * SECOND)
    bandwidth.open(9 * SECOND)
    assert not bandwidth.is_trying(10 * SECOND)
    bandwidth.open(20 * SECOND)
    assert bandwidth.is_trying(20 * SECOND)


class Busy(Budgets):
    """Its pacer always has media waiting, which goes as the budget lets it; `padded` counts bytes of padding."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.padded = 0
        self._until = 0
        self._seq = 0
        self._padding: list[SentPacket] = []
        self._observer = FeedbackAnalyser()

    def claim(self, peer: int, cluster: int = -1) -> SentSummary:
        budget = self.budgets[-1] or 0
        count = budget * (self.now - self._until) // (8 * SECOND) // 1200
        self._until += count * 1200 * 8 * SECOND // budget
        packets, self._padding = [*self._padding, *(self._packet(1200) for _ in range(count))], []
        for packet in packets:
            self._observer.sent(packet)
        return self._observer.claim(cluster)

    def observe(
        self, peer: int, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        return self._observer.observe(message, now, whole=whole)

    def pad(self, peer: int, size: int, now: int) -> list[Outgoing]:
        self.padded += size
        self._padding.append(self._packet(size))
        return [Outgoing(bytes(size), ("192.0.2.1", 1), 0)]

    def _packet(self, size: int) -> SentPacket:
        self._seq += 1
        return SentPacket(self._seq - 1, 5, self._seq - 1, size, self.now, SentKind.VIDEO)


def test_media_that_waits_is_the_probe() -> None:
    engine = Busy()
    engine.set_peer(PeerEntry(7))
    bandwidth = Bandwidth(7, engine, engine, Outbox(), 0, raises=Raises(SharedLines(), 7))
    bandwidth.wanted = 8_000_000.0
    for now in range(0, 120, 2):
        engine.now = now * MS
        bandwidth.handle_timer(now * MS)
        if now == 30:
            bandwidth.control(rtcp.TransportFeedback(1, 5, 0, 0, 0, (0, 16, 32)), now * MS)
    assert bandwidth.probes == 1
    assert engine.padded < 2500


class Asked(Budgets):
    """Records how much detail was requested: foldings, and whether each message was evaluated whole."""

    def __init__(self) -> None:
        super().__init__()
        self.folded: list[int] = []
        self.whole: list[bool] = []

    def fold(self, peer: int, longest: int) -> None:
        self.folded.append(longest)

    def observe(
        self, peer: int, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        self.whole.append(whole)
        return super().observe(peer, message, now, whole=whole)


def test_feedback_is_folded_until_pictures_begin_and_then_evaluated_whole() -> None:
    engine = Asked()
    engine.set_peer(PeerEntry(7))
    bandwidth = Bandwidth(7, engine, engine, Outbox(), 0, raises=Raises(SharedLines(), 7))
    feedback = TransportFeedback(1, 2, 0, 0, 0, (None,))
    bandwidth.control(feedback, SECOND)
    bandwidth.handle_timer(2 * SECOND)
    assert engine.whole == [False] and engine.folded and 0 not in engine.folded
    bandwidth.show()
    bandwidth.show()
    assert engine.folded.count(0) == 1
    bandwidth.handle_timer(3 * SECOND)
    bandwidth.control(feedback, 3 * SECOND)
    assert engine.whole == [False, True] and engine.folded[-1] == 0
