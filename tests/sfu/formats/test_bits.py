"""Bit fields and variable-length codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.bits import BitReader


def pack(bits):
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0") or "0", 2).to_bytes(max(1, -(-len(bits) // 8)), "big")


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2**40 - 1)), max_size=10))
def test_fields_are_read_in_order(fields):
    fields = [(width, value % (1 << width)) for width, value in fields]
    reader = BitReader(pack("".join(f"{value:0{width}b}" for width, value in fields)))
    assert [reader.read(width) for width, _ in fields] == [value for _, value in fields]


@given(st.integers(0, 2**32 - 2))
def test_exp_golomb(value):
    code = f"{value + 1:b}"
    assert BitReader(pack("0" * (len(code) - 1) + code)).exp_golomb() == value


@given(st.integers(-(2**30), 2**30))
def test_signed_exp_golomb(value):
    number = 2 * value - 1 if value > 0 else -2 * value
    code = f"{number + 1:b}"
    assert BitReader(pack("0" * (len(code) - 1) + code)).signed_exp_golomb() == value


@pytest.mark.parametrize(
    ("count", "codes"), [(1, [""]), (2, ["0", "1"]), (3, ["0", "10", "11"]), (5, ["00", "01", "10", "110", "111"])]
)
def test_non_symmetric_codes(count, codes):
    assert [BitReader(pack(code)).non_symmetric(count) for code in codes] == list(range(count))


def test_nothing_is_read_past_the_end():
    reader = BitReader(b"\x00")
    assert reader.left == 8
    with pytest.raises(ValueError, match="past"):
        reader.read(9)
    with pytest.raises(ValueError, match="past"):
        BitReader(b"\x00").exp_golomb()
    with pytest.raises(ValueError, match="too long"):
        BitReader(bytes(5)).exp_golomb()
