"""Header extension blocks and the values in them."""

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import header_extensions as ext

short = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), min_size=1, max_size=8)
long = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), min_size=1, max_size=4)


def read(block):
    profile, words = int.from_bytes(block[:2], "big"), int.from_bytes(block[2:4], "big")
    assert len(block) == 4 + 4 * words
    return ext.parse_block(profile, block, 4, len(block))


@given(st.one_of(short, long))
def test_what_is_written_is_read(elements):
    assert read(ext.write_block(elements)) == tuple(elements)


@given(short)
def test_short_elements_use_the_one_byte_form(elements):
    assert ext.write_block(elements)[:2] == b"\xbe\xde"


@given(st.one_of(short, long))
def test_aiortc_reads_the_same(elements):
    block = ext.write_block(elements)
    profile = int.from_bytes(block[:2], "big")
    assert aiortc_rtp.unpack_header_extensions(profile, block[4:]) == elements


@given(st.sampled_from([0xBEDE, 0x1000, 0x100F, 0x1234]), st.binary(max_size=64))
def test_any_block_gives_elements_or_value_error(profile, data):
    try:
        elements = ext.parse_block(profile, data, 0, len(data))
    except ValueError:
        return
    assert all(1 <= identifier <= 255 for identifier, _ in elements)


@pytest.mark.parametrize("stop", [b"\xf0", b"\xff", b"\x01", b"\x0f"])
def test_reserved_ids_end_a_one_byte_block(stop):
    data = b"\x10a" + stop + b"\x20b"
    assert ext.parse_block(0xBEDE, data, 0, len(data)) == ((1, b"a"),)


@pytest.mark.parametrize(
    ("element", "form"),
    [
        ((14, bytes(16)), b"\xbe\xde"),
        ((15, bytes(16)), b"\x10\x00"),
        ((1, bytes(17)), b"\x10\x00"),
        ((1, b""), b"\x10\x00"),
    ],
)
def test_what_the_one_byte_form_cannot_hold_takes_the_two_byte_form(element, form):
    block = ext.write_block([(2, b"a"), element])
    assert block[:2] == form
    assert read(block) == ((2, b"a"), element)


def test_no_elements_make_no_block():
    assert ext.write_block([]) == b""


@given(st.integers(0, 0xFFFF))
def test_transport_seq(seq):
    assert ext.parse_transport_seq(ext.write_transport_seq(seq)) == seq
    assert ext.parse_transport_seq(ext.write_transport_seq(seq) + b"\0\1") == seq


@given(st.binary(max_size=20))
def test_any_value_is_read_or_refused(value):
    try:
        ext.parse_transport_seq(value)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("least", "most", "value"),
    [
        (0, 0, b"\0\0\0"),
        (10_000_000, 10_000_000_000, b"\x00\x13\xe8"),
        (254_999_999, 255_000_000, b"\x01\x90\x1a"),
        (-1, 10**12, b"\x00\x0f\xff"),
    ],
)
def test_playout_delay(least, most, value):
    assert ext.write_playout_delay(least, most) == value
