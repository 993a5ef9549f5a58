"""What a subscriber's feedback does to its pacer and its repairs."""

import pytest

from sfu.engine.contract import PeerEntry
from sfu.engine.python import PythonEngine
from sfu.formats import rtcp
from sfu.rooms.bandwidth import Bandwidth
from sfu.rooms.outbox import Outbox

MS = 1_000_000
SECOND = 1000 * MS


class Budgets(PythonEngine):
    """Keeps what was set."""

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
    return Bandwidth(7, engine, engine, Outbox(), 0)


def test_the_pacer_has_a_budget_from_the_start(engine: Budgets, bandwidth: Bandwidth) -> None:
    assert engine.budgets == [int(bandwidth.rate * 1.5)]


def test_the_budget_follows_the_estimate(engine: Budgets, bandwidth: Bandwidth) -> None:
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_000_000, ()), 0)
    assert bandwidth.rate == pytest.approx(2_000_000, rel=0.01)
    assert engine.budgets[-1] == int(bandwidth.rate * 1.5)


def test_small_changes_are_not_worth_a_call(engine: Budgets, bandwidth: Bandwidth) -> None:
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_000_000, ()), 0)
    bandwidth.control(rtcp.ReceiverEstimate(1, 2_010_000, ()), 0)
    assert len(engine.budgets) == 2


def test_losses_in_reports_lower_it(engine: Budgets, bandwidth: Bandwidth) -> None:
    before = bandwidth.rate
    bandwidth.control(rtcp.ReceiverReport(1, (rtcp.ReportBlock(2, 100, 0, 0, 0),)), SECOND)
    assert bandwidth.rate < before
    assert len(engine.budgets) == 2


def test_repairs_are_bounded_by_the_estimate(bandwidth: Bandwidth) -> None:
    admitted = sum(bandwidth.admit_repairs(200, now * MS) for now in range(0, 2000, 20))
    assert 20 < admitted < 80


def test_nothing_is_probed_before_there_is_feedback(bandwidth: Bandwidth) -> None:
    bandwidth.wanted = 5_000_000.0
    for now in range(0, 3000, 5):
        bandwidth.handle_timer(now * MS)
    assert bandwidth.probes == 0
