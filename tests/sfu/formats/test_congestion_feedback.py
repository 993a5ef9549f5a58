"""RFC 8888 feedback: blocks per stream, metrics, padding, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtcp
from sfu.formats.congestion_feedback import (
    CongestionFeedback,
    PacketArrival,
    StreamArrivals,
    parse_congestion_feedback,
    write_congestion_feedback,
)

arrivals = st.none() | st.builds(PacketArrival, st.integers(0, 3), st.none() | st.integers(0, 0x1FFD))
streams = st.builds(
    StreamArrivals,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.lists(arrivals, max_size=50).map(tuple),
)


@given(
    st.builds(
        CongestionFeedback,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.lists(streams, max_size=4).map(tuple),
    )
)
def test_what_is_written_is_read(feedback: CongestionFeedback) -> None:
    assert rtcp.parse(rtcp.serialize([feedback])) == [feedback]


def test_a_block_is_read_bit_by_bit() -> None:
    """Figure 2: arrived with ECT(1) 256/1024 s ago, lost, arrived so long ago that the offset is no use."""
    body = bytes.fromhex("00000001 00000002 fffe 0003 a100 0000 9ffe 0000 00050000")
    assert parse_congestion_feedback(body) == CongestionFeedback(
        1, 0x00050000, (StreamArrivals(2, 0xFFFE, (PacketArrival(1, 256), None, PacketArrival(0, None))),)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(4),
        bytes(10),
        bytes.fromhex("00000001 00000002 0000 0003 a100 0000 00050000"),
        bytes.fromhex("00000001 00000002 0000 4001") + bytes(2 * 0x4002) + bytes(4),
        bytes.fromhex("00000001 00000002 00000000"),
    ],
)
def test_what_runs_past_its_end_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="congestion feedback"):
        parse_congestion_feedback(body)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_congestion_feedback(body)


@pytest.mark.parametrize("packet", [PacketArrival(4, 0), PacketArrival(0, 0x2000), PacketArrival(0, -1)])
def test_what_does_not_fit_is_not_written(packet: PacketArrival) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        write_congestion_feedback(CongestionFeedback(1, 0, (StreamArrivals(2, 0, (packet,)),)))
