"""RED: a round trip, and blocks that stay within the packet, whatever the bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import red

blocks = st.lists(
    st.tuples(st.integers(0, 127), st.integers(0, red.MAX_OFFSET), st.binary(max_size=40)), max_size=red.MAX_REDUNDANT
)


@given(blocks, st.integers(0, 127), st.binary(max_size=40))
def test_what_is_written_is_read(redundant, payload_type, primary):
    payload = red.serialize(redundant, payload_type, primary)
    *earlier, last = red.parse(payload)
    assert [(block.payload_type, block.offset, payload[block.start : block.end]) for block in earlier] == redundant
    assert (last.payload_type, last.offset, payload[last.start : last.end]) == (payload_type, 0, primary)


@given(st.binary(max_size=80))
def test_blocks_follow_each_other_to_the_end(payload):
    try:
        found = red.parse(payload)
    except ValueError:
        return
    assert found[-1].end == len(payload)
    assert all(left.end == right.start for left, right in pairwise(found))
    redundant = [(block.payload_type, block.offset, payload[block.start : block.end]) for block in found[:-1]]
    assert red.serialize(redundant, found[-1].payload_type, payload[found[-1].start :]) == payload


def test_chromium_s_packet():
    """Opus 111 again, 960 units (20 ms) earlier, before Opus 111."""
    payload = bytes.fromhex("ef 0f00 03 6f") + b"oldnews"
    assert red.parse(payload) == (red.Block(111, 960, 5, 8), red.Block(111, 0, 8, 12))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xef\x0f\x00", b"\xef\x0f\x00\x03", b"\xef\x0f\x00\x03\x6fol", b"\xef\0\0\0" * 10 + b"\x6f", b"\xef" * 4],
)
def test_refuses(payload):
    with pytest.raises(ValueError, match="RED"):
        red.parse(payload)


@pytest.mark.parametrize(
    ("redundant", "payload_type"),
    [([(128, 0, b"")], 0), ([(1, 1 << 14, b"")], 0), ([(1, 1, bytes(1024))], 0), ([], 128), ([(1, 1, b"")] * 10, 0)],
)
def test_writes_nothing_that_does_not_fit(redundant, payload_type):
    with pytest.raises(ValueError, match="RED"):
        red.serialize(redundant, payload_type, b"")
