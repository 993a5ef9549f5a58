"""Peers without transport-wide feedback: REMB and receiver reports."""

import pytest

from sfu.machines.congestion.receiver_reported_rate import ReceiverReportedRate

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


LAYERS = (150_000, 500_000, 1_700_000)


def watch(rate: ReceiverReportedRate, capacity: int, begin: int, seconds: int) -> list[int]:
    """Be sent the best layer that seems to fit a link, and report its losses; which layer that was, by the second."""
    shown = []
    for second in range(begin, begin + seconds):
        layer = max(place for place, cost in enumerate(LAYERS) if place == 0 or cost * 1.1 < rate.rate)
        shown.append(layer)
        rate.report(max(0.0, 1 - capacity / LAYERS[layer]), RTT, second * SECOND)
    return shown


def test_what_was_too_much_is_tried_less_and_less_often() -> None:
    shown = watch(rates(), 800_000, 0, 600)
    assert shown[-300:].count(2) < 15
    assert shown[-300:].count(1) > 280


def test_a_link_that_has_widened_is_found() -> None:
    rate = rates()
    watch(rate, 800_000, 0, 600)
    shown = watch(rate, 5_000_000, 600, 300)
    assert shown.index(2) < 150
    assert set(shown[150:]) == {2}


def test_it_stays_within_its_bounds() -> None:
    rate = rates()
    rate.receiver_estimate(1e9, 0)
    assert rate.rate == 20_000_000
    rate.receiver_estimate(1, 0)
    assert rate.rate == 30_000
