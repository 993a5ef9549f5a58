"""The rate at which packets arrive."""

import pytest

from sfu.machines.congestion.acknowledged_rate import AcknowledgedRate
from sfu.machines.congestion.arrival_windows import ArrivalWindows

MS = 1_000_000


class Acknowledged(AcknowledgedRate):
    """Fed arrivals."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = ArrivalWindows()

    def received(self, arrival: int, size: int, *, application_limited: bool = False) -> None:
        sample = self.windows.received(arrival, size)
        if sample is not None:
            self.sampled(sample, application_limited=application_limited)


def feed(rate: Acknowledged, kilobits: int, begin: int, milliseconds: int) -> None:
    for number in range(milliseconds // 10):
        rate.received((begin + number * 10) * MS, kilobits * 10 // 8)


def test_nothing_is_known_before_the_first_window() -> None:
    rate = Acknowledged()
    feed(rate, 1000, 0, 400)
    assert rate.bits_per_second is None


def test_a_steady_rate_is_found() -> None:
    rate = Acknowledged()
    feed(rate, 1000, 0, 2000)
    assert rate.bits_per_second == pytest.approx(1_000_000, rel=0.05)


@pytest.mark.parametrize("after", [300, 3000])
def test_a_change_is_followed_within_a_second_or_so(after: int) -> None:
    rate = Acknowledged()
    feed(rate, 1000, 0, 3000)
    feed(rate, after, 3000, 1500)
    assert rate.bits_per_second == pytest.approx(after * 1000, rel=0.2)


def test_a_pause_is_no_low_rate() -> None:
    rate = Acknowledged()
    feed(rate, 1000, 0, 2000)
    feed(rate, 1000, 12_000, 2000)
    assert rate.bits_per_second == pytest.approx(1_000_000, rel=0.1)


def test_while_the_application_is_limited_low_samples_count_for_less() -> None:
    usual, limited = Acknowledged(), Acknowledged()
    for rate in (usual, limited):
        feed(rate, 1000, 0, 2000)
    for number in range(30):
        usual.received((2000 + number * 10) * MS, 100)
        limited.received((2000 + number * 10) * MS, 100, application_limited=True)
    assert usual.bits_per_second is not None
    assert limited.bits_per_second is not None
    assert limited.bits_per_second > usual.bits_per_second


def test_after_an_expected_change_samples_count_for_more() -> None:
    usual, expecting = Acknowledged(), Acknowledged()
    for rate in (usual, expecting):
        feed(rate, 500, 0, 3000)
    expecting.expect_change()
    for rate in (usual, expecting):
        feed(rate, 1500, 3000, 330)
    assert usual.bits_per_second is not None
    assert expecting.bits_per_second is not None
    assert expecting.bits_per_second > usual.bits_per_second
