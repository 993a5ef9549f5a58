"""Repeated requests for packets that were already sent again, and requests that came too early."""

from sfu.machines.repair.repeated_nacks import RepeatedNacks

MS = 1_000_000
ROUND_TRIP = 50 * MS


def test_what_is_asked_for_first_is_not_again() -> None:
    assert RepeatedNacks().again([1, 2, 3], ROUND_TRIP, 0) == []


def test_what_is_asked_for_after_a_round_trip_is() -> None:
    requests = RepeatedNacks()
    requests.again([1, 2, 3], ROUND_TRIP, 0)
    assert requests.again([2, 4], ROUND_TRIP, ROUND_TRIP) == [2]


def test_the_repair_may_still_be_under_way() -> None:
    requests = RepeatedNacks()
    requests.again([1], ROUND_TRIP, 0)
    assert requests.again([1], ROUND_TRIP, 30 * MS) == []
    assert requests.again([1], ROUND_TRIP, ROUND_TRIP) == [1]


def test_a_seq_that_comes_round_is_another_packet() -> None:
    requests = RepeatedNacks()
    requests.again([1], ROUND_TRIP, 0)
    assert requests.again([1], ROUND_TRIP, 2000 * MS) == []


def test_memory_is_bounded() -> None:
    requests = RepeatedNacks()
    requests.again(list(range(10_000)), ROUND_TRIP, 0)
    assert requests.again(list(range(10_000)), ROUND_TRIP, ROUND_TRIP) == list(range(10_000 - 256, 10_000))
