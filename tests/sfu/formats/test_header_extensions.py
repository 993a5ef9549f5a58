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


@given(st.integers(0, 127), st.booleans())
def test_audio_level(level, voice):
    value = ext.AudioLevel(level, voice)
    assert ext.parse_audio_level(ext.write_audio_level(value)) == value


@given(st.integers(0, 10**15))
def test_abs_send_time_is_seconds_in_6_18(now):
    value = ext.parse_abs_send_time(ext.write_abs_send_time(now))
    elapsed = now % (64 * 10**9) - value * 10**9 / 2**18
    assert 0 <= elapsed < 10**9 / 2**18 + 1


@given(st.integers(0, 0xFFFF))
def test_transport_seq(seq):
    assert ext.parse_transport_seq(ext.write_transport_seq(seq)) == seq
    assert ext.parse_transport_seq(ext.write_transport_seq(seq) + b"\0\1") == seq


@given(st.integers(0, 2**64 - 1), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)))
def test_abs_capture_time(ntp, offset):
    value = ext.AbsCaptureTime(ntp, offset)
    assert ext.parse_abs_capture_time(ext.write_abs_capture_time(value)) == value


@given(st.integers(0, 4095), st.integers(0, 4095))
def test_playout_delay(first, second):
    value = ext.PlayoutDelay(min(first, second) * 10, max(first, second) * 10)
    assert ext.parse_playout_delay(ext.write_playout_delay(value)) == value


def test_identifiers_are_printable_ascii():
    assert ext.parse_identifier(ext.write_identifier("h")) == "h"
    assert ext.parse_identifier(b"hi\0\0") == "hi"
    for bad in (b"", b"\0", b"a b", b"\xc3\xa9"):
        with pytest.raises(ValueError, match="ASCII"):
            ext.parse_identifier(bad)


@pytest.mark.parametrize(
    "parse",
    [
        ext.parse_audio_level,
        ext.parse_abs_send_time,
        ext.parse_transport_seq,
        ext.parse_identifier,
        ext.parse_abs_capture_time,
        ext.parse_playout_delay,
    ],
)
@given(value=st.binary(max_size=20))
def test_any_value_is_read_or_refused(parse, value):
    try:
        parse(value)
    except ValueError:
        return
