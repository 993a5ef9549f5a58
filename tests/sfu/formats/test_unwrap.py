"""Unwrapping of sequence numbers and timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.unwrap import Unwrapper


@pytest.mark.parametrize("bits", [16, 32])
@given(start=st.integers(0, 2**32 - 1), data=st.data())
def test_steps_below_half_the_range_are_followed(bits, start, data):
    unwrapper = Unwrapper(bits)
    start %= 1 << bits
    half = 1 << (bits - 1)
    assert unwrapper.unwrap(start) == start
    newest = start
    for step in data.draw(st.lists(st.integers(-half, half - 1), max_size=20)):
        value = newest + step
        assert unwrapper.unwrap(value % (1 << bits)) == value
        newest = max(newest, value)
        assert unwrapper.newest == newest


def test_wrapping_and_reordering_around_the_wrap():
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(seq) for seq in (65534, 1, 65535, 0, 2)] == [65534, 65537, 65535, 65536, 65538]


def test_what_precedes_the_first_value_is_below_it():
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(seq) for seq in (0, 65535, 1)] == [0, -1, 1]
