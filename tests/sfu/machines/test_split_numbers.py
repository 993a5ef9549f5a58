"""Numbers of split packets: without gaps or duplicates, and reversible."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.machines.split_numbers import SplitNumbers

parts_of_packets = st.lists(st.integers(1, 7), min_size=1, max_size=200)


@given(st.integers(0, 0xFFFF), parts_of_packets)
def test_numbers_follow_each_other_and_lead_back(first: int, parts: list[int]) -> None:
    numbers = SplitNumbers()
    expected = first
    given_out: list[tuple[int, int]] = []
    for index, count in enumerate(parts):
        seq = (first + index) & 0xFFFF
        assert numbers.number(seq, count) == expected & 0xFFFF
        given_out += [((expected + part) & 0xFFFF, seq) for part in range(count)]
        expected += count
    for number, seq in given_out:
        assert numbers.original(number) == seq


@given(st.integers(0, 0xFFFF), parts_of_packets)
def test_a_repeated_packet_gets_its_numbers_again(first: int, parts: list[int]) -> None:
    numbers = SplitNumbers()
    before = [numbers.number((first + index) & 0xFFFF, count) for index, count in enumerate(parts)]
    again = [numbers.number((first + index) & 0xFFFF, count) for index, count in enumerate(parts)]
    assert again == before


def test_a_packet_that_was_missing_has_room_for_one_part() -> None:
    numbers = SplitNumbers()
    assert [numbers.number(10, 2), numbers.number(12, 2)] == [10, 13]
    assert numbers.original(12) == 11  # it would have this number
    assert numbers.number(11, 2) is None
    assert numbers.number(11, 1) == 12


def test_packets_from_before_what_is_remembered_have_none() -> None:
    numbers = SplitNumbers()
    for seq in range(2000):
        numbers.number(seq, 2)
    assert numbers.number(100, 1) is None
    assert numbers.number(1500, 2) == 3000
