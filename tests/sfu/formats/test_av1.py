"""AV1 payloads, OBUs and sequence headers."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import av1
from sfu.formats.av1 import Obu
from sfu.formats.packetize import packetize_av1

obus = st.builds(
    lambda kind, extension, body: Obu(kind, bytes([kind << 3 | (0x04 if extension else 0), *extension]), body),
    st.integers(0, 15),
    st.one_of(st.just(b""), st.binary(min_size=1, max_size=1)),
    st.builds(lambda size, seed: Random(seed).randbytes(size), st.integers(0, 400), st.integers(0, 99)),
)


@given(st.integers(0, 2**32 - 1))
def test_leb128(value):
    encoded = av1.write_leb128(value)
    assert av1.read_leb128(encoded + b"rest", 0) == (value, len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x00"])
def test_leb128_beyond_32_bits_or_the_data_is_refused(data):
    with pytest.raises(ValueError, match="LEB128"):
        av1.read_leb128(data, 0)


@given(st.lists(obus, max_size=5))
def test_obus_are_written_as_they_are_read(units):
    assert list(av1.iterate_obus(b"".join(map(av1.write_obu, units)))) == units


@given(obus)
def test_an_obu_needs_no_size(obu):
    assert av1.split_obu(obu.header + obu.body) == obu
    assert av1.split_obu(av1.write_obu(obu)) == obu


@given(st.binary(max_size=40))
def test_any_bytes_give_elements_or_value_error(data):
    try:
        parsed = av1.parse(data)
        av1.is_keyframe_start(data)
    except ValueError:
        return
    assert parsed.elements


@given(st.binary(max_size=40))
def test_any_bytes_give_a_size_or_value_error(data):
    for header in (b"\x08", b"\x0a", b"\x0c\x00"):
        try:
            width, height = av1.sequence_size(header + data)
        except ValueError:
            continue
        assert width > 0 and height > 0


@pytest.mark.parametrize(
    ("payload", "elements"),
    [
        ("00 02 aabb 01 cc", ["aabb", "cc"]),
        ("10 aabbcc", ["aabbcc"]),
        ("20 01 aa bbcc", ["aa", "bbcc"]),
        ("30 01 aa 02 bbcc dd", ["aa", "bbcc", "dd"]),
    ],
)
def test_elements_by_count_or_by_length(payload, elements):
    assert [element.hex() for element in av1.parse(bytes.fromhex(payload)).elements] == elements


@pytest.mark.parametrize("payload", ["", "08", "00 05 aa", "20 01 aa", "30 01 aa 01 bb", "88 01 aa", "10"])
def test_malformed_payloads_are_refused(payload):
    with pytest.raises(ValueError):
        av1.parse(bytes.fromhex(payload))


def test_a_keyframe_has_the_n_bit_or_its_sequence_header_first():
    assert av1.is_keyframe_start(bytes.fromhex("18 3000"))
    assert av1.is_keyframe_start(bytes.fromhex("10 0800"))
    assert not av1.is_keyframe_start(bytes.fromhex("90 0800"))
    assert not av1.is_keyframe_start(bytes.fromhex("10 3000"))


@given(st.lists(obus, min_size=1, max_size=4), st.integers(64, 100))
def test_payloads_keep_to_their_size(units, largest):
    try:
        payloads = packetize_av1(b"".join(map(av1.write_obu, units)), True, largest)
    except ValueError:
        assert all(unit.kind in (2, 8) for unit in units)
        return
    assert all(len(payload) <= largest for payload in payloads)
    assert [av1.parse(payload).new_sequence for payload in payloads] == [True] + [False] * (len(payloads) - 1)
