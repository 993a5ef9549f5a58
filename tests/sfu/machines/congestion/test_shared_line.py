"""Viewers who share a line: the one who filled it waits, the others do not."""

import pytest

from sfu.machines.congestion.shared_line import Raises, SharedLines, network_of

MS = 1_000_000
SECOND = 1000 * MS
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
LOW, HIGH = 1e6, 2e6


class House:
    """Viewers by number, all at one address unless said otherwise."""

    def __init__(self, *addresses: str) -> None:
        self.lines = SharedLines()
        self.viewers = [Raises(self.lines, number) for number in range(len(addresses))]
        for viewer, address in zip(self.viewers, addresses, strict=True):
            viewer.move(address)

    def rise(self, number: int, at: int) -> None:
        self.viewers[number].update(LOW, HIGH, at)

    def fall(self, number: int, at: int) -> None:
        self.viewers[number].update(HIGH, LOW, at)

    def wait(self, number: int, fell_at: int) -> int:
        """Return for how many seconds after its fall a viewer does not probe, once it is known who caused that."""
        seconds = 1
        while self.viewers[number].waits(fell_at + seconds * SECOND):
            seconds += 1
        return seconds


def test_the_one_who_rose_last_waits_longer_each_time() -> None:
    house = House(HOME, HOME)
    house.rise(0, 0)
    waits = []
    for round_ in range(6):
        now = (20 + 40 * round_) * SECOND
        house.rise(1, now)
        house.fall(1, now + 600 * MS)
        house.fall(0, now + 900 * MS)
        waits.append(house.wait(1, now + 600 * MS))
        assert house.wait(0, now + 900 * MS) == 1
    assert waits == [2, 4, 8, 16, 16, 16]


def test_a_higher_estimate_that_lasts_ends_the_distrust() -> None:
    house = House(HOME, HOME)
    for now in (10 * SECOND, 30 * SECOND):
        house.rise(1, now)
        house.fall(1, now)
        house.fall(0, now)
        house.wait(1, now)
    house.rise(1, 50 * SECOND)
    assert not house.viewers[1].waits(56 * SECOND)
    house.rise(1, 60 * SECOND)
    house.fall(1, 61 * SECOND)
    house.fall(0, 61 * SECOND)
    assert house.wait(1, 61 * SECOND) == 2


def test_of_two_who_rose_the_earlier_one_does_not_wait() -> None:
    house = House(HOME, HOME)
    house.rise(0, 10 * SECOND)
    house.rise(1, 11 * SECOND)
    house.fall(0, 12 * SECOND)
    house.fall(1, 12 * SECOND)
    assert house.wait(0, 12 * SECOND) == 1
    assert house.wait(1, 12 * SECOND) == 2


@pytest.mark.parametrize(("other", "fell_at"), [(ELSEWHERE, 10_500 * MS), (HOME, 3 * SECOND)])
def test_whose_link_is_full_alone_does_not_wait(other: str, fell_at: int) -> None:
    house = House(HOME, other)
    house.fall(1, fell_at)
    house.rise(0, 10 * SECOND)
    house.fall(0, 10_600 * MS)
    assert house.wait(0, 10_600 * MS) == 1


def test_a_link_that_is_full_long_after_it_was_raised_has_become_slower() -> None:
    house = House(HOME, HOME)
    house.rise(1, 10 * SECOND)
    for number in (0, 1):
        house.fall(number, 16 * SECOND)
    assert house.wait(1, 16 * SECOND) == 1


def test_usual_growth_is_no_raise() -> None:
    house = House(HOME, HOME)
    house.viewers[1].update(1e6, 1.04e6, 10 * SECOND)
    for number in (0, 1):
        house.fall(number, 11 * SECOND)
    assert house.wait(1, 11 * SECOND) == 1


def test_who_has_gone_is_forgotten() -> None:
    house = House(HOME, HOME, ELSEWHERE)
    for number in range(3):
        house.rise(number, SECOND)
    assert len(house.lines) == 3
    house.viewers[0].move(ELSEWHERE)
    for viewer in house.viewers:
        viewer.leave()
    assert len(house.lines) == 0
    house.rise(1, 2 * SECOND)
    house.fall(1, 3 * SECOND)
    assert len(house.lines) == 0


def test_networks() -> None:
    assert network_of(HOME) == network_of(f"::ffff:{HOME}") == HOME
    assert network_of("2001:db8:1:2::3") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::3")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""
