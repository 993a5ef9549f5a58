"""Budgets: the pacer's and that of repairs."""

from sfu.machines.pacing import RepairBudget, pacing_rate

MS = 1_000_000
SECOND = 1000 * MS


def test_the_pacer_is_somewhat_faster_than_the_estimate() -> None:
    assert pacing_rate(1_000_000) == 1_150_000


def test_the_pacer_never_stops() -> None:
    assert pacing_rate(10_000) == 100_000


def test_a_few_repairs_pass() -> None:
    assert RepairBudget().admit(5, 1200, 1_000_000, 0) == 5


def test_a_storm_is_bounded() -> None:
    budget = RepairBudget()
    admitted = sum(budget.admit(100, 1200, 1_000_000, now * MS) for now in range(0, 10_000, 10))
    assert admitted * 1200 * 8 <= 10 * 250_000 + 125_000


def test_it_recovers() -> None:
    budget = RepairBudget()
    assert budget.admit(1000, 1200, 1_000_000, 0) < 20
    assert budget.admit(5, 1200, 1_000_000, 0) == 0
    assert budget.admit(5, 1200, 1_000_000, SECOND) == 5


def test_one_packet_always_passes_sooner_or_later() -> None:
    assert RepairBudget().admit(3, 1400, 0, 0) >= 1
