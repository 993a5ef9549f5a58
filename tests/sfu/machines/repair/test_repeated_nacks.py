"""Repeated requests for packets that were already sent again, and requests that came too early."""

from sfu.machines.repair.repeated_nacks import RepeatedNacks

MS = 1_000_000
ROUND_TRIP = 50 * MS


def test_what_is_asked_for_first_is_not_again() -> None:
    assert RepeatedNacks().answer([1, 2, 3], ROUND_TRIP, 0) == ([1, 2, 3], [])


def test_what_is_asked_for_after_a_round_trip_is() -> None:
    requests = RepeatedNacks()
    requests.answer([1, 2, 3], ROUND_TRIP, 0)
    assert requests.answer([2, 4], ROUND_TRIP, ROUND_TRIP) == ([4], [2])


def test_the_repair_may_still_be_under_way() -> None:
    requests = RepeatedNacks()
    requests.answer([1], ROUND_TRIP, 0)
    assert requests.answer([1], ROUND_TRIP, 30 * MS) == ([], [])
    assert requests.answer([1], ROUND_TRIP, ROUND_TRIP) == ([], [1])


def test_a_seq_that_comes_round_is_another_packet() -> None:
    requests = RepeatedNacks()
    requests.answer([1], ROUND_TRIP, 0)
    assert requests.answer([1], ROUND_TRIP, 2000 * MS) == ([1], [])


def test_memory_is_bounded() -> None:
    requests = RepeatedNacks()
    requests.answer(list(range(10_000)), ROUND_TRIP, 0)
    _, again = requests.answer(list(range(10_000)), ROUND_TRIP, ROUND_TRIP)
    assert again == list(range(10_000 - 256, 10_000))
