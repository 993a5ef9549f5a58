"""Budgets: of the pacer and of retransmissions."""

from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.loss_windows import LossWindow
from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.pacing import BurstCapacity, RetransmissionBudget, media_share, pacing_rate

MS = 1_000_000
SECOND = 1000 * MS


def picture(size: int, queueing: int, lost: int = 0) -> FeedbackSummary:
    """A picture of so many bytes, whose last packet was so much later than usual."""
    losses = LossWindow(100, lost, 1e6) if lost else None
    return FeedbackSummary(20 * MS, 10 * MS, (), False, Usage.NORMAL, size, queueing, losses, ())


def after(*summaries: FeedbackSummary) -> BurstCapacity:
    capacity = BurstCapacity()
    for second, summary in enumerate(summaries):
        capacity.observed(summary, second * SECOND)
    return capacity


def test_a_link_that_takes_pictures_at_once_is_paced_far_faster_than_its_estimate() -> None:
    capacity = after(*[picture(10_000, 1 * MS)] * 8)
    assert pacing_rate(4_000_000, capacity.rate(8 * SECOND)) == 32_000_000


def test_a_link_on_which_pictures_queue_is_not() -> None:
    capacity = after(*[picture(10_000, 1 * MS)] * 8, *[picture(10_000, 80 * MS)] * 2)
    assert capacity.rate(8 * SECOND) == 1_000_000
    assert pacing_rate(1_000_000, capacity.rate(8 * SECOND)) == 1_150_000


def test_a_single_late_picture_is_this_machine_s_fault() -> None:
    before = after(*[picture(10_000, 1 * MS)] * 8).rate(8 * SECOND)
    assert after(*[picture(10_000, 1 * MS)] * 8, picture(10_000, 80 * MS)).rate(8 * SECOND) == before


def test_nor_is_one_that_loses() -> None:
    capacity = after(*[picture(10_000, 1 * MS)] * 8, picture(10_000, 1 * MS, lost=3))
    assert capacity.rate(8 * SECOND) == 0


def test_what_bursts_said_is_forgotten() -> None:
    assert after(picture(10_000, 1 * MS)).rate(11 * SECOND) == 0


def test_a_few_packets_say_nothing() -> None:
    assert after(picture(240, 0)).rate(0) == 0


def test_the_pacer_is_somewhat_faster_than_the_estimate() -> None:
    assert pacing_rate(1_000_000) == 1_150_000


def test_the_pacer_never_stops() -> None:
    assert pacing_rate(10_000) == 100_000


def test_a_few_repairs_pass() -> None:
    assert RetransmissionBudget().admit(5, 1200, 1_000_000, 0) == 5


def test_a_storm_is_bounded() -> None:
    budget = RetransmissionBudget()
    admitted = sum(budget.admit(100, 1200, 1_000_000, now * MS) for now in range(0, 10_000, 10))
    assert admitted * 1200 * 8 <= 10 * 250_000 + 125_000


def test_it_recovers() -> None:
    budget = RetransmissionBudget()
    assert budget.admit(1000, 1200, 1_000_000, 0) < 20
    assert budget.admit(5, 1200, 1_000_000, 0) == 0
    assert budget.admit(5, 1200, 1_000_000, SECOND) == 5


def test_one_packet_always_passes_sooner_or_later() -> None:
    assert RetransmissionBudget().admit(3, 1400, 0, 0) >= 1


def test_second_copies_leave_half_of_it_to_repairs_that_nobody_has_got() -> None:
    budget = RetransmissionBudget()  # 15,625 bytes at once
    assert budget.admit(100, 1200, 1_000_000, 0, leave=0.5) == 6
    assert budget.admit(100, 1200, 1_000_000, 0, leave=0.5) == 0
    assert budget.admit(100, 1200, 1_000_000, 0) == 7


def test_pictures_leave_room_for_the_repairs_that_losses_need() -> None:
    assert media_share(0.0) == 0.98
    assert media_share(0.05) < 0.95
    assert media_share(0.5) == 0.6
