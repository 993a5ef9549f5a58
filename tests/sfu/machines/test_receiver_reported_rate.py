"""Peers without transport-wide feedback: REMB and receiver reports."""

import pytest

from sfu.machines.receiver_reported_rate import ReceiverReportedRate

SECOND = 1_000_000_000
RTT = 50_000_000


def rates() -> ReceiverReportedRate:
    return ReceiverReportedRate(1_000_000, 30_000, 20_000_000)


def test_without_losses_it_grows_by_eight_percent_a_second() -> None:
    rate = rates()
    for second in range(5):
        rate.report(0.0, RTT, second * SECOND * 11 // 10)
    assert rate.rate == pytest.approx(1_000_000 * 1.08**5, rel=0.02)


def test_frequent_reports_do_not_make_it_grow_faster() -> None:
    rate = rates()
    for tenth in range(50):
        rate.report(0.0, RTT, tenth * SECOND // 10)
    assert rate.rate < 1_000_000 * 1.08**7


def test_some_loss_holds_it() -> None:
    rate = rates()
    rate.report(0.05, RTT, 0)
    assert rate.rate == 1_000_000


def test_much_loss_lowers_it_by_half_the_loss() -> None:
    rate = rates()
    rate.report(0.2, RTT, 0)
    assert rate.rate == pytest.approx(900_000)


def test_a_decrease_waits_for_the_last_one_to_show() -> None:
    rate = rates()
    rate.report(0.2, RTT, 0)
    rate.report(0.2, RTT, SECOND // 10)
    assert rate.rate == pytest.approx(900_000)


def test_the_receivers_estimate_is_taken() -> None:
    rate = rates()
    rate.receiver_estimate(2_500_000, 0)
    assert rate.rate == 2_500_000


def test_reports_do_not_grow_beyond_the_receivers_estimate() -> None:
    rate = rates()
    for second in range(20):
        rate.receiver_estimate(1_100_000, second * SECOND)
        rate.report(0.0, RTT, second * SECOND)
    assert rate.rate == 1_100_000


def test_an_old_estimate_counts_no_longer() -> None:
    rate = rates()
    rate.receiver_estimate(500_000, 0)
    for second in range(6, 30):
        rate.report(0.0, RTT, second * SECOND)
    assert rate.rate > 600_000


def test_it_stays_within_its_bounds() -> None:
    rate = rates()
    rate.receiver_estimate(1e9, 0)
    assert rate.rate == 20_000_000
    rate.receiver_estimate(1, 0)
    assert rate.rate == 30_000
