"""Growth and decrease of the delay-based rate."""

import pytest

from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.rate_control import LinkCapacity, RateControl

MS = 1_000_000
SECOND = 1000 * MS
RTT = 50 * MS


def control(start: float = 1_000_000) -> RateControl:
    return RateControl(start, 30_000, 20_000_000)


def grow(rates: RateControl, acknowledged: float | None, begin: int, seconds: int) -> float:
    for step in range(seconds * 20):
        rates.update(Usage.NORMAL, acknowledged, RTT, begin + step * 50 * MS)
    return rates.rate


def test_far_from_capacity_it_grows_by_eight_percent_a_second() -> None:
    assert grow(control(), 2_000_000, 0, 5) == pytest.approx(1_000_000 * 1.08**5, rel=0.02)


def test_it_grows_no_further_than_half_above_what_arrives() -> None:
    assert grow(control(), 400_000, 0, 60) == 1_000_000
    assert grow(control(), 1_000_000, 0, 60) <= 1_510_000


def test_without_arrivals_it_stays() -> None:
    assert grow(control(), None, 0, 60) == 1_000_000


def test_overuse_lowers_it_to_below_what_arrives() -> None:
    rates = control()
    assert rates.update(Usage.OVERUSE, 800_000, RTT, 0) == pytest.approx(680_000)


@pytest.mark.parametrize(("queueing", "share"), [(50, 0.85), (200, 0.75), (280, 0.67), (900, 0.65)])
def test_a_long_queue_lowers_it_further_so_that_it_drains(queueing: int, share: float) -> None:
    rates = control()
    assert rates.update(Usage.OVERUSE, 800_000, RTT, 0, queueing=queueing * MS) == pytest.approx(share * 800_000)


def test_while_the_application_is_limited_it_falls_in_steps() -> None:
    rates = control()
    steps = [rates.update(Usage.OVERUSE, 200_000, RTT, n * SECOND, application_limited=True) for n in range(5)]
    assert steps == pytest.approx([600_000, 360_000, 216_000, 170_000, 170_000])


def test_overuse_never_raises_it() -> None:
    rates = control(500_000)
    assert rates.update(Usage.OVERUSE, 900_000, RTT, 0) <= 500_000


def test_before_anything_is_known_overuse_halves_it() -> None:
    assert control().update(Usage.OVERUSE, None, RTT, 0) == 500_000


def test_near_capacity_it_grows_by_about_a_packet_per_response_time() -> None:
    rates = control()
    rates.update(Usage.OVERUSE, 1_000_000, RTT, 0)
    before = rates.rate
    after = grow(rates, 850_000, SECOND, 4)
    assert 20_000 < (after - before) / 4 < 80_000


def test_far_above_the_old_capacity_it_grows_fast_again() -> None:
    rates = control()
    rates.update(Usage.OVERUSE, 1_000_000, RTT, 0)
    grow(rates, 3_000_000, SECOND, 1)
    assert not rates.capacity.is_known


def test_underuse_holds() -> None:
    rates = control()
    for step in range(100):
        rates.update(Usage.UNDERUSE, 5_000_000, RTT, step * 50 * MS)
    assert rates.rate == 1_000_000


def test_a_decrease_waits_for_the_last_one_to_show() -> None:
    rates = control()
    rates.update(Usage.OVERUSE, 1_000_000, RTT, 0)
    assert not rates.may_decrease(800_000, RTT, 20 * MS)
    assert rates.may_decrease(800_000, RTT, 60 * MS)


def test_a_decrease_does_not_wait_when_far_less_arrives() -> None:
    rates = control()
    rates.update(Usage.OVERUSE, 1_000_000, RTT, 0)
    assert rates.may_decrease(300_000, RTT, 20 * MS)


def test_it_stays_within_its_bounds() -> None:
    rates = control()
    rates.set(1e9, 0)
    assert rates.rate == 20_000_000
    rates.update(Usage.OVERUSE, 10_000, RTT, SECOND)
    assert rates.rate == 30_000


def test_the_capacity_is_smoothed_and_has_a_spread() -> None:
    capacity = LinkCapacity()
    assert capacity.bounds == (0.0, float("inf"))
    capacity.overused(1_000_000)
    capacity.overused(1_200_000)
    assert capacity.bits_per_second == pytest.approx(1_010_000)
    lower, upper = capacity.bounds
    assert lower < 1_010_000 < upper
